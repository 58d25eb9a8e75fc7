;; Inner products of one query with many int8 rows, eight-fold: the whole native part of the flat index. `scan` takes rows that follow
;; each other, `scanRows` any, for filters that leave every other row.
;; `npx wat2wasm` of this file is the base64 text in flat-kernel.ts; a test compares the two.
(module
  (import "host" "memory" (memory 1))

  ;; query: address of `stride` int16 values; rows: address of `count` rows of `stride` int8 values; out: address of `count` int32 sums.
  ;; stride is a multiple of 16, count at least 1. The caller keeps |query| small enough that no sum leaves int32.
  (func (export "scan") (param $query i32) (param $rows i32) (param $count i32) (param $stride i32) (param $out i32)
    (local $end i32) (local $position i32) (local $low v128) (local $high v128)
    (loop $row
      (local.set $end (i32.add (local.get $rows) (local.get $stride)))
      (local.set $position (local.get $query))
      (local.set $low (v128.const i32x4 0 0 0 0))
      (local.set $high (v128.const i32x4 0 0 0 0))
      (loop $block
        (local.set $low
          (i32x4.add (local.get $low)
            (i32x4.dot_i16x8_s (v128.load (local.get $position)) (v128.load8x8_s (local.get $rows)))))
        (local.set $high
          (i32x4.add (local.get $high)
            (i32x4.dot_i16x8_s (v128.load offset=16 (local.get $position)) (v128.load8x8_s offset=8 (local.get $rows)))))
        (local.set $position (i32.add (local.get $position) (i32.const 32)))
        (local.set $rows (i32.add (local.get $rows) (i32.const 16)))
        (br_if $block (i32.lt_u (local.get $rows) (local.get $end))))
      (local.set $low (i32x4.add (local.get $low) (local.get $high)))
      (i32.store (local.get $out)
        (i32.add
          (i32.add (i32x4.extract_lane 0 (local.get $low)) (i32x4.extract_lane 1 (local.get $low)))
          (i32.add (i32x4.extract_lane 2 (local.get $low)) (i32x4.extract_lane 3 (local.get $low)))))
      (local.set $out (i32.add (local.get $out) (i32.const 4)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $row (local.get $count))))

  ;; The same of the rows whose numbers, uint32, lie at `list`; first: address of row 0.
  (func (export "scanRows")
    (param $query i32) (param $first i32) (param $count i32) (param $stride i32) (param $out i32) (param $list i32)
    (local $rows i32) (local $end i32) (local $position i32) (local $low v128) (local $high v128)
    (loop $row
      (local.set $rows (i32.add (local.get $first) (i32.mul (i32.load (local.get $list)) (local.get $stride))))
      (local.set $end (i32.add (local.get $rows) (local.get $stride)))
      (local.set $position (local.get $query))
      (local.set $low (v128.const i32x4 0 0 0 0))
      (local.set $high (v128.const i32x4 0 0 0 0))
      (loop $block
        (local.set $low
          (i32x4.add (local.get $low)
            (i32x4.dot_i16x8_s (v128.load (local.get $position)) (v128.load8x8_s (local.get $rows)))))
        (local.set $high
          (i32x4.add (local.get $high)
            (i32x4.dot_i16x8_s (v128.load offset=16 (local.get $position)) (v128.load8x8_s offset=8 (local.get $rows)))))
        (local.set $position (i32.add (local.get $position) (i32.const 32)))
        (local.set $rows (i32.add (local.get $rows) (i32.const 16)))
        (br_if $block (i32.lt_u (local.get $rows) (local.get $end))))
      (local.set $low (i32x4.add (local.get $low) (local.get $high)))
      (i32.store (local.get $out)
        (i32.add
          (i32.add (i32x4.extract_lane 0 (local.get $low)) (i32x4.extract_lane 1 (local.get $low)))
          (i32.add (i32x4.extract_lane 2 (local.get $low)) (i32x4.extract_lane 3 (local.get $low)))))
      (local.set $out (i32.add (local.get $out) (i32.const 4)))
      (local.set $list (i32.add (local.get $list) (i32.const 4)))
      (local.set $count (i32.sub (local.get $count) (i32.const 1)))
      (br_if $row (local.get $count)))))
