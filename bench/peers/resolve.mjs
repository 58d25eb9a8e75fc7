/** Where `import(name)` from this folder leads: resolution must start here, and CommonJS `resolve` cannot see ESM-only packages. */
export const resolve = (name) => import.meta.resolve(name)
