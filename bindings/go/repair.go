package thalweg

// #include <thalweg.h>
import "C"

import "context"

// Repaired is what was left of damaged positions or key-values.
type Repaired struct {
	// Entries that are there now.
	Kept uint64
	// How many of them may be older than what was acknowledged last, or may have been deleted since.
	Uncertain uint64
	// Changes that were lost; all ones if nobody knows how many.
	Lost uint64
}

// RepairPositions goes on with those positions of consumers that can be read, where damage keeps them from being read
// at all. Durable when it returns.
func (e *Engine) RepairPositions(ctx context.Context) (Repaired, error) {
	return detach(ctx, func() (Repaired, error) {
		from := C.thalweg_repaired{size: C.sizeof_thalweg_repaired}
		err := e.call(func(engine *C.thalweg_engine, failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_position_repair(engine, &from, failure)
		})
		return repaired(&from), err
	}, nil)
}

// RepairKeyValues is [Engine.RepairPositions] for the key-values of all topics.
func (e *Engine) RepairKeyValues(ctx context.Context) (Repaired, error) {
	return detach(ctx, func() (Repaired, error) {
		from := C.thalweg_repaired{size: C.sizeof_thalweg_repaired}
		err := e.call(func(engine *C.thalweg_engine, failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_key_values_repair(engine, &from, failure)
		})
		return repaired(&from), err
	}, nil)
}

func repaired(from *C.thalweg_repaired) Repaired {
	return Repaired{
		Kept:      uint64(from.kept),
		Uncertain: uint64(from.uncertain),
		Lost:      uint64(from.lost),
	}
}
