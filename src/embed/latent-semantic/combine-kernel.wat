;; Weighted sums of rows of single-precision values: the whole native part of the truncated singular value decomposition.
;; `npx wat2wasm` of this file is the base64 text in combine.ts; a test compares the two.
;;
;; Sixteen columns at a time: their sums stay in registers while all rows pass by, and every row is read in whole cache lines. The
;; additions of one column happen in the order of the places and in single precision, as in the plain version.
(module
  (import "host" "memory" (memory 1))

  ;; places: address of `count` int32 row numbers, at least one; factors: address of as many float32; rows: address of the matrix;
  ;; stride: bytes of a row, a multiple of 64; sums: address of `stride` bytes that are overwritten.
  (func (export "combine")
    (param $places i32) (param $factors i32) (param $count i32) (param $rows i32) (param $stride i32) (param $sums i32)
    (local $end i32) (local $last i32) (local $place i32) (local $factor i32) (local $row i32)
    (local $a v128) (local $b v128) (local $c v128) (local $d v128) (local $by v128)
    (local.set $end (i32.add (local.get $rows) (local.get $stride)))
    (local.set $last (i32.add (local.get $places) (i32.shl (local.get $count) (i32.const 2))))
    (loop $columns
      (local.set $a (v128.const f32x4 0 0 0 0))
      (local.set $b (v128.const f32x4 0 0 0 0))
      (local.set $c (v128.const f32x4 0 0 0 0))
      (local.set $d (v128.const f32x4 0 0 0 0))
      (local.set $place (local.get $places))
      (local.set $factor (local.get $factors))
      (loop $next
        (local.set $row (i32.add (local.get $rows) (i32.mul (i32.load (local.get $place)) (local.get $stride))))
        (local.set $by (v128.load32_splat (local.get $factor)))
        (local.set $a (f32x4.add (local.get $a) (f32x4.mul (local.get $by) (v128.load (local.get $row)))))
        (local.set $b (f32x4.add (local.get $b) (f32x4.mul (local.get $by) (v128.load offset=16 (local.get $row)))))
        (local.set $c (f32x4.add (local.get $c) (f32x4.mul (local.get $by) (v128.load offset=32 (local.get $row)))))
        (local.set $d (f32x4.add (local.get $d) (f32x4.mul (local.get $by) (v128.load offset=48 (local.get $row)))))
        (local.set $place (i32.add (local.get $place) (i32.const 4)))
        (local.set $factor (i32.add (local.get $factor) (i32.const 4)))
        (br_if $next (i32.lt_u (local.get $place) (local.get $last))))
      (v128.store (local.get $sums) (local.get $a))
      (v128.store offset=16 (local.get $sums) (local.get $b))
      (v128.store offset=32 (local.get $sums) (local.get $c))
      (v128.store offset=48 (local.get $sums) (local.get $d))
      (local.set $sums (i32.add (local.get $sums) (i32.const 64)))
      (local.set $rows (i32.add (local.get $rows) (i32.const 64)))
      (br_if $columns (i32.ne (local.get $rows) (local.get $end))))))
