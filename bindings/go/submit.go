package thalweg

/*
#cgo noescape thalweg_go_submit
#cgo nocallback thalweg_go_submit
#cgo noescape thalweg_go_submit_batch
#cgo nocallback thalweg_go_submit_batch

#include <thalweg.h>

static void thalweg_go_options(
    thalweg_append_options *options, uint32_t flags, uint32_t durability, uint64_t expected_offset, uint64_t term
) {
    *options = (thalweg_append_options){
        .size = sizeof *options,
        .flags = flags,
        .durability = durability,
        .expected_offset = expected_offset,
        .term = term,
    };
}

// The record is put together here, because memory of Go must not hold pointers that C is given.
static thalweg_status thalweg_go_submit(
    thalweg_topic *topic, uint32_t partition, const uint8_t *key, size_t key_size, const uint8_t *value,
    size_t value_size, int64_t timestamp, uint32_t record_flags, uint32_t flags, uint32_t durability,
    uint64_t expected_offset, uint64_t term, thalweg_completion_queue *queue, uint64_t token, thalweg_error *error
) {
    thalweg_append_options options;
    thalweg_go_options(&options, flags, durability, expected_offset, term);
    thalweg_record record = {
        .key = {key, key_size}, .value = {value, value_size}, .timestamp = timestamp, .flags = record_flags,
    };
    return thalweg_topic_submit(topic, partition, &record, &options, queue, token, NULL, error);
}

static thalweg_status thalweg_go_submit_batch(
    thalweg_topic *topic, uint32_t partition, const void *records, size_t count, uint32_t flags, uint32_t durability,
    uint64_t expected_offset, uint64_t term, thalweg_completion_queue *queue, uint64_t token, thalweg_error *error
) {
    thalweg_append_options options;
    thalweg_go_options(&options, flags, durability, expected_offset, term);
    return thalweg_topic_submit_batch(topic, partition, records, count, &options, queue, token, NULL, error);
}
*/
import "C"

import (
	"context"
	"fmt"
	"runtime"
	"unsafe"
)

// Submit appends a record, and returns as soon as it is in memory; the ticket tells when it is acknowledged. It waits
// only where there is no room. Where the context ends meanwhile, nothing was appended, and the error is both
// [ErrWouldBlock] and the context's.
func (t *Topic) Submit(ctx context.Context, record Record, opts ...AppendOption) (*Ticket, error) {
	if len(record.Headers) > 0 {
		return t.SubmitBatch(ctx, []Record{record}, opts...)
	}
	options := newAppendOptions(opts)
	timestamp, flags := timestamp(&record)
	failure := failures.Get().(*C.thalweg_error)
	defer failures.Put(failure)
	queue := t.engine.completions
	for {
		ticket, token, err := queue.begin(ctx)
		if err != nil {
			return nil, err
		}
		status := C.thalweg_go_submit(
			t.handle, options.partition, (*C.uint8_t)(unsafe.SliceData(record.Key)), C.size_t(len(record.Key)),
			(*C.uint8_t)(unsafe.SliceData(record.Value)), C.size_t(len(record.Value)), C.int64_t(timestamp),
			C.uint32_t(flags),
			options.flags, options.durability, options.expected, options.term, queue.queue, C.uint64_t(token), failure,
		)
		if status == C.THALWEG_OK {
			runtime.KeepAlive(t)
			return ticket, nil
		}
		if err := queue.refused(ctx, ticket, token, failure); err != nil {
			return nil, err
		}
	}
}

// SubmitBatch is [Topic.Submit] for records as one batch, which is there whole or not at all: up to 65,535, 20 MiB
// together.
func (t *Topic) SubmitBatch(ctx context.Context, records []Record, opts ...AppendOption) (*Ticket, error) {
	options := newAppendOptions(opts)
	lent := lend(records)
	defer lent.giveBack()
	failure := failures.Get().(*C.thalweg_error)
	defer failures.Put(failure)
	queue := t.engine.completions
	for {
		ticket, token, err := queue.begin(ctx)
		if err != nil {
			return nil, err
		}
		status := C.thalweg_go_submit_batch(
			t.handle, options.partition, lent.records.memory, C.size_t(len(records)), options.flags, options.durability,
			options.expected, options.term, queue.queue, C.uint64_t(token), failure,
		)
		if status == C.THALWEG_OK {
			runtime.KeepAlive(t)
			return ticket, nil
		}
		if err := queue.refused(ctx, ticket, token, failure); err != nil {
			return nil, err
		}
	}
}

// begin makes a ticket with a slot, for which it waits.
func (c *completions) begin(ctx context.Context) (*Ticket, uint32, error) {
	if ctx.Err() != nil {
		return nil, 0, notAppended(ctx)
	}
	ticket := &Ticket{completions: c}
	for {
		token, full, due := c.take(ticket)
		if due {
			for c.takeSome() {
			}
		}
		if full == nil {
			return ticket, token, nil
		}
		if err := c.awaitSlot(ctx, full); err != nil {
			return nil, 0, err
		}
	}
}

func (c *completions) awaitSlot(ctx context.Context, free <-chan struct{}) error {
	c.await()
	defer c.awaited()
	select {
	case <-free:
		return nil
	case <-ctx.Done():
		return notAppended(ctx)
	}
}

// refused waits until another try may succeed, or tells why not.
func (c *completions) refused(ctx context.Context, ticket *Ticket, token uint32, failure *C.thalweg_error) error {
	if failure.status != C.THALWEG_WOULD_BLOCK {
		c.giveBack(token)
		return readError(failure)
	}
	select {
	case <-ticket.Done():
		if ticket.err != error(ErrWouldBlock) {
			return ticket.err
		}
		return nil
	case <-ctx.Done():
		return notAppended(ctx)
	}
}

func notAppended(ctx context.Context) error {
	return fmt.Errorf("nothing was appended: %w (%w)", ctx.Err(), ErrWouldBlock)
}
