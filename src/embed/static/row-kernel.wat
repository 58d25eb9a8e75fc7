;; Sums of rows of a matrix in shared memory: the whole native part of the static embedder.
;; `npx wat2wasm --enable-threads` of this file is the base64 text in row-sums.ts; a test compares the two.
;;
;; Sixteen columns at a time: their sums stay in registers while all rows pass by, and every row is read in whole cache lines. The
;; additions of one column happen in the order of the ids and in single precision, as in the plain version.
(module
  (import "host" "memory" (memory 1 65536 shared))

  ;; ids: address of `count` int32 row numbers, at least one; rows: address of the matrix of float32; stride: bytes of a row, a
  ;; multiple of 64; sums: address of `stride` bytes that the rows are added to.
  (func (export "add") (param $ids i32) (param $count i32) (param $rows i32) (param $stride i32) (param $sums i32)
    (local $end i32) (local $last i32) (local $id i32) (local $row i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local.set $end (i32.add (local.get $rows) (local.get $stride)))
    (local.set $last (i32.add (local.get $ids) (i32.shl (local.get $count) (i32.const 2))))
    (loop $columns
      (local.set $a (v128.load (local.get $sums)))
      (local.set $b (v128.load offset=16 (local.get $sums)))
      (local.set $c (v128.load offset=32 (local.get $sums)))
      (local.set $d (v128.load offset=48 (local.get $sums)))
      (local.set $id (local.get $ids))
      (loop $next
        (local.set $row (i32.add (local.get $rows) (i32.mul (i32.load (local.get $id)) (local.get $stride))))
        (local.set $a (f32x4.add (local.get $a) (v128.load (local.get $row))))
        (local.set $b (f32x4.add (local.get $b) (v128.load offset=16 (local.get $row))))
        (local.set $c (f32x4.add (local.get $c) (v128.load offset=32 (local.get $row))))
        (local.set $d (f32x4.add (local.get $d) (v128.load offset=48 (local.get $row))))
        (local.set $id (i32.add (local.get $id) (i32.const 4)))
        (br_if $next (i32.lt_u (local.get $id) (local.get $last))))
      (v128.store (local.get $sums) (local.get $a))
      (v128.store offset=16 (local.get $sums) (local.get $b))
      (v128.store offset=32 (local.get $sums) (local.get $c))
      (v128.store offset=48 (local.get $sums) (local.get $d))
      (local.set $sums (i32.add (local.get $sums) (i32.const 64)))
      (local.set $rows (i32.add (local.get $rows) (i32.const 64)))
      (br_if $columns (i32.ne (local.get $rows) (local.get $end)))))

  ;; The same for rows of int8 and a stride that is a multiple of 16; scales: address of `count` float32, the step of each row.
  (func (export "addScaled")
    (param $ids i32) (param $scales i32) (param $count i32) (param $rows i32) (param $stride i32) (param $sums i32)
    (local $end i32) (local $last i32) (local $id i32) (local $scale i32) (local $row i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128)
    (local $step v128) (local $low v128) (local $high v128)
    (local.set $end (i32.add (local.get $rows) (local.get $stride)))
    (local.set $last (i32.add (local.get $ids) (i32.shl (local.get $count) (i32.const 2))))
    (loop $columns
      (local.set $a (v128.load (local.get $sums)))
      (local.set $b (v128.load offset=16 (local.get $sums)))
      (local.set $c (v128.load offset=32 (local.get $sums)))
      (local.set $d (v128.load offset=48 (local.get $sums)))
      (local.set $id (local.get $ids))
      (local.set $scale (local.get $scales))
      (loop $next
        (local.set $row (i32.add (local.get $rows) (i32.mul (i32.load (local.get $id)) (local.get $stride))))
        (local.set $step (v128.load32_splat (local.get $scale)))
        (local.set $low (v128.load8x8_s (local.get $row)))
        (local.set $high (v128.load8x8_s offset=8 (local.get $row)))
        (local.set $a (f32x4.add (local.get $a)
          (f32x4.mul (local.get $step) (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $low))))))
        (local.set $b (f32x4.add (local.get $b)
          (f32x4.mul (local.get $step) (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $low))))))
        (local.set $c (f32x4.add (local.get $c)
          (f32x4.mul (local.get $step) (f32x4.convert_i32x4_s (i32x4.extend_low_i16x8_s (local.get $high))))))
        (local.set $d (f32x4.add (local.get $d)
          (f32x4.mul (local.get $step) (f32x4.convert_i32x4_s (i32x4.extend_high_i16x8_s (local.get $high))))))
        (local.set $scale (i32.add (local.get $scale) (i32.const 4)))
        (local.set $id (i32.add (local.get $id) (i32.const 4)))
        (br_if $next (i32.lt_u (local.get $id) (local.get $last))))
      (v128.store (local.get $sums) (local.get $a))
      (v128.store offset=16 (local.get $sums) (local.get $b))
      (v128.store offset=32 (local.get $sums) (local.get $c))
      (v128.store offset=48 (local.get $sums) (local.get $d))
      (local.set $sums (i32.add (local.get $sums) (i32.const 64)))
      (local.set $rows (i32.add (local.get $rows) (i32.const 16)))
      (br_if $columns (i32.ne (local.get $rows) (local.get $end))))))
