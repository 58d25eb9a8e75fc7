export { createMcpListener, type McpListenerOptions } from './http.js'
export { createMcpServer, type McpRag, type McpServerOptions } from './server.js'
export { type StdioOptions, serveMcpStdio } from './stdio.js'
