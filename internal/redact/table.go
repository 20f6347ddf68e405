package redact

import (
	"math/bits"
	"math/rand/v2"
)

// table is a set of numbers other than 0. Each byte of a text needs a lookup,
// so the set must be fast. It is several times as fast as a map.
type table struct {
	slots      []uint64
	shift      int
	multiplier uint64 // random, so that nobody can choose colliding numbers
}

// newTable returns a table for up to n numbers.
func newTable(n int) table {
	size := bits.Len(uint(2*n + 1))
	return table{slots: make([]uint64, 1<<size), shift: 64 - size, multiplier: rand.Uint64() | 1} //nolint:gosec // no key
}

// slot returns the slot of number, or the free slot for it.
func (t *table) slot(number uint64) *uint64 {
	for i := number * t.multiplier >> t.shift; ; i++ {
		slot := &t.slots[i%uint64(len(t.slots))]
		if *slot == number || *slot == 0 {
			return slot
		}
	}
}

func (t *table) add(number uint64)      { *t.slot(number) = number }
func (t *table) has(number uint64) bool { return number != 0 && *t.slot(number) == number }
