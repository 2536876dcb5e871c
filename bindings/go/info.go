package thalweg

// #include <thalweg.h>
import "C"

import (
	"context"
	"runtime"
	"time"
)

// Info is how an engine works.
type Info struct {
	// [RuntimeUring] or [RuntimePosix].
	Runtime Runtime
	// The store's identity: chosen at random when it was created.
	StoreID uint64
	// All memory that grows with load. In bytes.
	MemoryBudget uint64
	// Memory that is registered with io_uring. In bytes.
	RegisteredMemory uint64
	// What transfers are aligned to. In bytes.
	Alignment uint64
	// Bytes that the store can still grow by; all ones if the file system does not say.
	FreeSpace uint64
	// Threads that write and read the device.
	Shards uint32
	// Segment files that stay open at most.
	OpenFiles uint32
	// Transfers go past the page cache.
	DirectIO bool
	// The store is only read.
	ReadOnly bool
	// The store had been closed cleanly, or is new.
	RecoveredClean bool
	// Acknowledged ranges that recovery found missing or damaged: [Engine.Damaged] tells them.
	RecoveredDamaged uint32
	// How long it took to make the store ready.
	Recovery time.Duration
	// Partitions that hold records.
	RecoveredPartitions uint64
	// Partitions whose ends were found by reading: they were being written when the process ended.
	RecoveredTails uint64
	// Partitions whose files refused to be made durable.
	RecoveredUnavailable uint64
	// Journals in which durable writes cannot be read, or that were given up.
	RecoveredDamagedJournals uint64
	// Places of the manifest that cannot be read; the second copy of each was used.
	RecoveredDamagedCopies uint64
}

// Info is how the engine works.
func (e *Engine) Info(ctx context.Context) (Info, error) {
	return detach(ctx, func() (Info, error) {
		from := C.thalweg_info{size: C.sizeof_thalweg_info}
		err := e.call(func(engine *C.thalweg_engine, failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_engine_info(engine, &from, failure)
		})
		return Info{
			Runtime:                  Runtime(from.runtime),
			StoreID:                  uint64(from.store_id),
			MemoryBudget:             uint64(from.memory_budget),
			RegisteredMemory:         uint64(from.registered_memory),
			Alignment:                uint64(from.alignment),
			FreeSpace:                uint64(from.free_space),
			Shards:                   uint32(from.shards),
			OpenFiles:                uint32(from.open_files),
			DirectIO:                 from.direct_io != 0,
			ReadOnly:                 from.read_only != 0,
			RecoveredClean:           from.recovered_clean != 0,
			RecoveredDamaged:         uint32(from.recovered_damaged),
			Recovery:                 time.Duration(from.recovery_ns),
			RecoveredPartitions:      uint64(from.recovered_partitions),
			RecoveredTails:           uint64(from.recovered_tails),
			RecoveredUnavailable:     uint64(from.recovered_unavailable),
			RecoveredDamagedJournals: uint64(from.recovered_damaged_journals),
			RecoveredDamagedCopies:   uint64(from.recovered_damaged_copies),
		}, err
	}, nil)
}

// InfoText is why the engine works as it does: lines to show.
func (e *Engine) InfoText(ctx context.Context) (string, error) {
	return detach(ctx, func() (string, error) {
		return listText(func(
			into *C.char, capacity C.size_t, size *C.size_t, failure *C.thalweg_error,
		) C.thalweg_status {
			defer runtime.KeepAlive(e)
			return C.thalweg_engine_info_text(e.handle, into, capacity, size, failure)
		})
	}, nil)
}
