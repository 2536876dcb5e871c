package thalweg

// #include <thalweg.h>
import "C"

import (
	"context"
	"runtime"
	"time"
)

// Metrics is what an engine counts of itself. Counters are since it was opened and only grow; sizes are bytes.
type Metrics struct {
	// Since the engine was opened.
	Open time.Duration
	// Batches that were appended, the engine's own (positions, key-values) among them. By topic, in the metrics'
	// text, they are not.
	Appends uint64
	// Records in them.
	AppendedRecords uint64
	// Bytes of their keys, values and headers.
	AppendedBytes uint64
	// Batches that were read from blocks being appended to.
	ReadsFromAppenders uint64
	// Batches that were read from the cache.
	ReadsFromCache uint64
	// Batches that were read from the device.
	ReadsFromDevice uint64
	// Bytes of all these batches.
	ReadBytes uint64
	// Written to the journal.
	WrittenJournal uint64
	// Written to segments, straight from the appenders' memory.
	WrittenDirect uint64
	// Written to segments, after the journal.
	WrittenDestaged uint64
	// Written to the manifest, and headers and indexes of segments.
	WrittenMetadata uint64
	// Zeros, written once for each new journal file.
	WrittenJournalFiles uint64
	// Events that nobody took in time.
	EventsDropped uint64
	// The memory budget.
	MemoryBudget uint64
	// Of it: staging of the journal, and reads when nothing else is left.
	MemoryReserve uint64
	// Of it: appended to, or waiting to be written.
	MemoryAppenders uint64
	// Of it: on the device too, and dropped when others need the memory.
	MemoryCache uint64
	// Of it: pinned by batches that are held.
	MemoryPins uint64
	// The most that batches which are held can pin.
	MemoryPinsLimit uint64
	// Of it: kept for the next use.
	MemoryIdle uint64
	// Beside it: small batches that were copied for readers.
	MemoryCopies uint64
	// Beside it: indexes of sealed segments.
	MemoryIndexes uint64
	// Beside it: entries of batches that are held.
	MemoryEntries uint64
	// Beyond this, reads answer NO_MEMORY until batches are released.
	MemoryEntriesLimit uint64
}

// Metrics is what the engine counts, as it is now. Appends and reads do not wait for it.
func (e *Engine) Metrics(ctx context.Context) (Metrics, error) {
	return detach(ctx, func() (Metrics, error) {
		from := C.thalweg_metrics{size: C.sizeof_thalweg_metrics}
		err := e.call(func(engine *C.thalweg_engine, failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_engine_metrics(engine, &from, failure)
		})
		return Metrics{
			Open:                time.Duration(from.open_ns),
			Appends:             uint64(from.appends),
			AppendedRecords:     uint64(from.appended_records),
			AppendedBytes:       uint64(from.appended_bytes),
			ReadsFromAppenders:  uint64(from.reads_from_appenders),
			ReadsFromCache:      uint64(from.reads_from_cache),
			ReadsFromDevice:     uint64(from.reads_from_device),
			ReadBytes:           uint64(from.read_bytes),
			WrittenJournal:      uint64(from.written_journal),
			WrittenDirect:       uint64(from.written_direct),
			WrittenDestaged:     uint64(from.written_destaged),
			WrittenMetadata:     uint64(from.written_metadata),
			WrittenJournalFiles: uint64(from.written_journal_files),
			EventsDropped:       uint64(from.events_dropped),
			MemoryBudget:        uint64(from.memory_budget),
			MemoryReserve:       uint64(from.memory_reserve),
			MemoryAppenders:     uint64(from.memory_appenders),
			MemoryCache:         uint64(from.memory_cache),
			MemoryPins:          uint64(from.memory_pins),
			MemoryPinsLimit:     uint64(from.memory_pins_limit),
			MemoryIdle:          uint64(from.memory_idle),
			MemoryCopies:        uint64(from.memory_copies),
			MemoryIndexes:       uint64(from.memory_indexes),
			MemoryEntries:       uint64(from.memory_entries),
			MemoryEntriesLimit:  uint64(from.memory_entries_limit),
		}, err
	}, nil)
}

// MetricsJSON is all that the engine counts, by topic, partition, shard and consumer too: docs/METRICS.md has the
// names.
func (e *Engine) MetricsJSON(ctx context.Context) (string, error) {
	return detach(ctx, func() (string, error) {
		return listText(func(
			into *C.char, capacity C.size_t, size *C.size_t, failure *C.thalweg_error,
		) C.thalweg_status {
			defer runtime.KeepAlive(e)
			return C.thalweg_engine_metrics_json(e.handle, into, capacity, size, failure)
		})
	}, nil)
}

// MetricsPrometheus is the same as Prometheus scrapes it. The package prometheus beside this one serves it.
func (e *Engine) MetricsPrometheus(ctx context.Context) (string, error) {
	return detach(ctx, func() (string, error) {
		return listText(func(
			into *C.char, capacity C.size_t, size *C.size_t, failure *C.thalweg_error,
		) C.thalweg_status {
			defer runtime.KeepAlive(e)
			return C.thalweg_engine_metrics_prometheus(e.handle, into, capacity, size, failure)
		})
	}, nil)
}
