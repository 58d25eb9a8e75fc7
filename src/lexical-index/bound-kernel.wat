;; Arithmetic on bounds of blocks, four at a time. Bounds are float32, zero where a block holds none of the terms.
;; `npx wat2wasm` of this file is the base64 text in bound-kernel.ts; a test compares the two.
(module
  (import "host" "memory" (memory 1))

  ;; bounds: address of `count` float32; impacts: address of `count` uint8. Adds scale * impact to each bound; count is a multiple of 16, at least 16.
  (func (export "add") (param $bounds i32) (param $impacts i32) (param $count i32) (param $scale f32)
    (local $end i32) (local $factor v128) (local $bytes v128) (local $low v128) (local $high v128)
    (local.set $factor (f32x4.splat (local.get $scale)))
    (local.set $end (i32.add (local.get $impacts) (local.get $count)))
    (loop $sixteen
      (local.set $bytes (v128.load (local.get $impacts)))
      (local.set $low (i16x8.extend_low_i8x16_u (local.get $bytes)))
      (local.set $high (i16x8.extend_high_i8x16_u (local.get $bytes)))
      (v128.store (local.get $bounds)
        (f32x4.add (v128.load (local.get $bounds))
          (f32x4.mul (local.get $factor) (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_u (local.get $low))))))
      (v128.store offset=16 (local.get $bounds)
        (f32x4.add (v128.load offset=16 (local.get $bounds))
          (f32x4.mul (local.get $factor) (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_u (local.get $low))))))
      (v128.store offset=32 (local.get $bounds)
        (f32x4.add (v128.load offset=32 (local.get $bounds))
          (f32x4.mul (local.get $factor) (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_u (local.get $high))))))
      (v128.store offset=48 (local.get $bounds)
        (f32x4.add (v128.load offset=48 (local.get $bounds))
          (f32x4.mul (local.get $factor) (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_u (local.get $high))))))
      (local.set $bounds (i32.add (local.get $bounds) (i32.const 64)))
      (local.set $impacts (i32.add (local.get $impacts) (i32.const 16)))
      (br_if $sixteen (i32.lt_u (local.get $impacts) (local.get $end)))))

  ;; Scales each of `count` bounds that is not zero and adds the scaled bound, of those at `others`, whose place (uint32) is at `places`.
  (func (export "combine")
    (param $bounds i32) (param $others i32) (param $places i32) (param $count i32) (param $scale f32) (param $otherScale f32)
    (local $end i32) (local $bound f32)
    (local.set $end (i32.add (local.get $bounds) (i32.shl (local.get $count) (i32.const 2))))
    (block $done
      (loop $one
        (br_if $done (i32.ge_u (local.get $bounds) (local.get $end)))
        (local.set $bound (f32.load (local.get $bounds)))
        (f32.store (local.get $bounds)
          (select
            (f32.add
              (f32.mul (local.get $bound) (local.get $scale))
              (f32.mul (local.get $otherScale)
                (f32.load (i32.add (local.get $others) (i32.shl (i32.load (local.get $places)) (i32.const 2))))))
            (f32.const 0)
            (f32.gt (local.get $bound) (f32.const 0))))
        (local.set $bounds (i32.add (local.get $bounds) (i32.const 4)))
        (local.set $places (i32.add (local.get $places) (i32.const 4)))
        (br $one))))

  ;; The address of the first float32 from `bound` on, before `end`, that is at least `threshold`; `end` when there is none. Reads up to 60 bytes after.
  (func (export "next") (param $bound i32) (param $end i32) (param $threshold f32) (result i32)
    (local $least v128)
    (local.set $least (f32x4.splat (local.get $threshold)))
    (block $near
      (loop $sixteen
        (br_if $near (i32.ge_u (local.get $bound) (local.get $end)))
        (br_if $near
          (v128.any_true
            (v128.or
              (v128.or
                (f32x4.ge (v128.load (local.get $bound)) (local.get $least))
                (f32x4.ge (v128.load offset=16 (local.get $bound)) (local.get $least)))
              (v128.or
                (f32x4.ge (v128.load offset=32 (local.get $bound)) (local.get $least))
                (f32x4.ge (v128.load offset=48 (local.get $bound)) (local.get $least))))))
        (local.set $bound (i32.add (local.get $bound) (i32.const 64)))
        (br $sixteen)))
    (block $found
      (loop $one
        (br_if $found (i32.ge_u (local.get $bound) (local.get $end)))
        (br_if $found (f32.ge (f32.load (local.get $bound)) (local.get $threshold)))
        (local.set $bound (i32.add (local.get $bound) (i32.const 4)))
        (br $one)))
    (select (local.get $bound) (local.get $end) (i32.lt_u (local.get $bound) (local.get $end)))))
