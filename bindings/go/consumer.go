package thalweg

/*
#cgo noescape thalweg_consumer_poll
#cgo nocallback thalweg_consumer_poll

#include <thalweg.h>
*/
import "C"

import (
	"context"
	"iter"
	"runtime"
	"sync"
	"sync/atomic"
)

// Consumer reads any number of topics and partitions as one, in turns, and remembers under a name where it was.
type Consumer struct {
	engine   *Engine
	handle   *C.thalweg_consumer
	eventfd  *eventfd
	maxBytes C.size_t
	closed   atomic.Bool
	cleanup  runtime.Cleanup
	// Held by the goroutine whose turn it is to poll.
	turn chan struct{}
	// The library lets one thread at a time into its calls.
	mutex sync.Mutex
}

// ConsumerOption says how a consumer begins.
type ConsumerOption func(*consumerOptions)

type consumerOptions struct {
	options  C.thalweg_consumer_options
	maxBytes int
}

// StartAt is where partitions begin of which the name has no position: [Earliest], which is the default, [Latest],
// [AtTime] or [AtAppendTime].
func StartAt(start Start) ConsumerOption {
	return func(o *consumerOptions) { o.options.start, o.options.start_time = start.at, C.int64_t(start.value) }
}

// OutOfRangeAt is where the consumer goes on whose position is out of range: [Earliest], [Latest] or [AtTime].
// Without it polls answer [ErrOutOfRange] until it seeks.
func OutOfRangeAt(start Start) ConsumerOption {
	return func(o *consumerOptions) {
		switch start.at {
		case C.THALWEG_START_EARLIEST:
			o.options.out_of_range = C.THALWEG_OUT_OF_RANGE_EARLIEST
		case C.THALWEG_START_LATEST:
			o.options.out_of_range = C.THALWEG_OUT_OF_RANGE_LATEST
		case C.THALWEG_START_TIME:
			o.options.out_of_range, o.options.out_of_range_time = C.THALWEG_OUT_OF_RANGE_TIME, C.int64_t(start.value)
		default:
			// Not a number of the library, which says so.
			o.options.out_of_range = C.uint32_t(0xffffffff)
		}
	}
}

// MaxBytes is how much one batch has at most, but for one batch as it was appended; 1 MiB by default.
func MaxBytes(bytes int) ConsumerOption { return func(o *consumerOptions) { o.maxBytes = bytes } }

// Consumer opens a consumer, which reads nothing until it is subscribed. Positions are committed under its name, and
// found again; one without a name cannot commit. A name is open once at a time.
func (e *Engine) Consumer(ctx context.Context, name string, opts ...ConsumerOption) (*Consumer, error) {
	options := consumerOptions{maxBytes: 1 << 20}
	C.thalweg_consumer_options_init(&options.options, C.sizeof_thalweg_consumer_options)
	for _, opt := range opts {
		opt(&options)
	}
	return detach(ctx, func() (*Consumer, error) { return openConsumer(e, name, &options) },
		func(c *Consumer) { _ = c.Close() })
}

func openConsumer(e *Engine, name string, options *consumerOptions) (*Consumer, error) {
	c := &Consumer{engine: e, maxBytes: C.size_t(options.maxBytes), turn: make(chan struct{}, 1)}
	open := func(name *C.char) error {
		// It holds a pointer to C only while C looks at it.
		options := options.options
		options.name = name
		return e.call(func(engine *C.thalweg_engine, failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_consumer_open(engine, &options, &c.handle, failure)
		})
	}
	var err error
	if name == "" {
		err = open(nil)
	} else {
		err = withText(name, open)
	}
	if err != nil {
		return nil, err
	}
	var fd C.int32_t
	err = c.call(func(handle *C.thalweg_consumer, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_consumer_eventfd(handle, &fd, failure)
	})
	if err == nil {
		c.eventfd, err = newEventfd(int32(fd))
	}
	if err != nil {
		C.thalweg_consumer_close(c.handle, nil)
		return nil, err
	}
	c.cleanup = runtime.AddCleanup(c, func(handle *C.thalweg_consumer) { C.thalweg_consumer_close(handle, nil) },
		c.handle)
	return c, nil
}

// Close lets go of the consumer. What was committed stays, and so do batches. Goroutines that poll answer [ErrClosed].
func (c *Consumer) Close() error {
	if c.closed.Swap(true) {
		return closed("the consumer")
	}
	c.cleanup.Stop()
	c.eventfd.close()
	return c.call(func(handle *C.thalweg_consumer, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_consumer_close(handle, failure)
	})
}

func (c *Consumer) call(function func(*C.thalweg_consumer, *C.thalweg_error) C.thalweg_status) error {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	return call(func(failure *C.thalweg_error) C.thalweg_status { return function(c.handle, failure) })
}

// detach is call with a context.
func (c *Consumer) detach(
	ctx context.Context, function func(*C.thalweg_consumer, *C.thalweg_error) C.thalweg_status,
) error {
	return detachCall(ctx, func() error { return c.call(function) })
}

// Poll waits for records, and gives one batch, out of the partition whose turn it is. Release it.
//
// [ErrNoMemory] says that batches which are held use up the readers' part of the memory. Other errors concern one
// partition, which they name, and the next poll goes on with the others: a [CorruptError] where acknowledged records
// are damaged, which a seek to the end of its range passes over; [ErrOutOfRange], [ErrDeleted], [ErrPartitionFailed].
func (c *Consumer) Poll(ctx context.Context) (*Batch, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { <-c.turn }()
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if batch, there, err := c.try(); there {
		return batch, err
	}
	var batch *Batch
	var failed error
	err := c.eventfd.wait(ctx, func() (there bool) {
		batch, there, failed = c.try()
		return there
	})
	if err != nil {
		return nil, err
	}
	return batch, failed
}

// TryPoll is [Consumer.Poll] that does not wait: [ErrWouldBlock] says that nothing is there now.
func (c *Consumer) TryPoll() (*Batch, error) {
	batch, there, err := c.try()
	if !there {
		return nil, ErrWouldBlock
	}
	return batch, err
}

func (c *Consumer) try() (batch *Batch, there bool, err error) {
	var handle *C.thalweg_batch
	var view C.thalweg_batch_view
	failure := failures.Get().(*C.thalweg_error)
	defer failures.Put(failure)
	c.mutex.Lock()
	status := C.thalweg_consumer_poll(c.handle, c.maxBytes, &handle, &view, failure)
	c.mutex.Unlock()
	switch status {
	case C.THALWEG_OK:
		return newBatch(handle, &view), true, nil
	case C.THALWEG_WOULD_BLOCK:
		return nil, false, nil
	default:
		return nil, true, readError(failure)
	}
}

// Batches polls until the context ends, which is the last error. Each batch is released when the loop asks for the
// next one, and where it ends.
func (c *Consumer) Batches(ctx context.Context) iter.Seq2[*Batch, error] {
	return func(yield func(*Batch, error) bool) {
		for {
			batch, err := c.Poll(ctx)
			if !give(yield, batch, err) || ctx.Err() != nil {
				return
			}
		}
	}
}

func give(yield func(*Batch, error) bool, batch *Batch, err error) bool {
	if batch != nil {
		defer batch.Release()
	}
	return yield(batch, err)
}

// Subscribe reads all partitions of topics, those that are added later too: from the positions committed under the
// consumer's name, or where there is none from where its options say.
func (c *Consumer) Subscribe(ctx context.Context, topics ...*Topic) error {
	for _, topic := range topics {
		err := c.detach(ctx, func(handle *C.thalweg_consumer, failure *C.thalweg_error) C.thalweg_status {
			defer runtime.KeepAlive(topic)
			return C.thalweg_consumer_subscribe(handle, topic.handle, failure)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Assign reads one partition, or goes somewhere else in one that is read already.
func (c *Consumer) Assign(ctx context.Context, topic *Topic, partition uint32, start Start) error {
	return c.detach(ctx, func(handle *C.thalweg_consumer, failure *C.thalweg_error) C.thalweg_status {
		defer runtime.KeepAlive(topic)
		return C.thalweg_consumer_assign(handle, topic.handle, C.uint32_t(partition), start.at, start.value, failure)
	})
}

// Unsubscribe stops reading a topic. What was committed stays.
func (c *Consumer) Unsubscribe(topic *Topic) error {
	defer runtime.KeepAlive(topic)
	return c.call(func(handle *C.thalweg_consumer, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_consumer_unsubscribe(handle, topic.handle, failure)
	})
}

// Seek goes somewhere else in a partition that is read.
func (c *Consumer) Seek(ctx context.Context, topic *Topic, partition uint32, start Start) error {
	return c.detach(ctx, func(handle *C.thalweg_consumer, failure *C.thalweg_error) C.thalweg_status {
		defer runtime.KeepAlive(topic)
		return C.thalweg_consumer_seek(handle, topic.handle, C.uint32_t(partition), start.at, start.value, failure)
	})
}

// SeekAll goes somewhere else in all partitions that are read. After an error some have moved and others not.
func (c *Consumer) SeekAll(ctx context.Context, start Start) error {
	return c.detach(ctx, func(handle *C.thalweg_consumer, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_consumer_seek_all(handle, start.at, start.value, failure)
	})
}

// Lag is what is still to be read of all partitions together, in offsets, of which some may have no record.
func (c *Consumer) Lag() (uint64, error) {
	var lag C.uint64_t
	err := c.call(func(handle *C.thalweg_consumer, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_consumer_lag(handle, &lag, failure)
	})
	return uint64(lag), err
}

// Commit makes durable, under the consumer's name, that everything which polls have returned is handled: all
// partitions or none, whatever crashes.
func (c *Consumer) Commit(ctx context.Context) error {
	return c.detach(ctx, func(handle *C.thalweg_consumer, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_consumer_commit(handle, failure)
	})
}
