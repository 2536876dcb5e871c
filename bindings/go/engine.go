package thalweg

// #include <thalweg.h>
import "C"

import (
	"context"
	"runtime"
	"sync/atomic"
)

// Engine is a store that is open.
type Engine struct {
	handle      *C.thalweg_engine
	completions *completions
	closed      atomic.Bool
	cleanup     runtime.Cleanup
}

// Open opens the store in a directory, or makes one there. It recovers what a process that was killed, or a machine
// that lost power, has left.
func Open(dir string, opts ...Option) (*Engine, error) {
	var options C.thalweg_engine_options
	C.thalweg_engine_options_init(&options, C.sizeof_thalweg_engine_options)
	for _, opt := range opts {
		opt(&options)
	}
	queue, err := newCompletions()
	if err != nil {
		return nil, err
	}
	e := &Engine{completions: queue}
	err = withText(dir, func(dir *C.char) error {
		return call(func(failure *C.thalweg_error) C.thalweg_status {
			return C.thalweg_engine_open(dir, &options, &e.handle, failure)
		})
	})
	if err != nil {
		queue.close()
		return nil, err
	}
	type parts struct {
		handle      *C.thalweg_engine
		completions *completions
	}
	// In a goroutine of its own, because it waits for the device.
	left := func(p parts) { go closeEngine(p.handle, p.completions) }
	e.cleanup = runtime.AddCleanup(e, left, parts{e.handle, queue})
	return e, nil
}

// Close makes everything that was appended durable, ends the engine's threads and marks the store as cleanly closed.
// Calls that wait answer [ErrClosed]; what else is open of the store is still to be closed, in any order. Batches
// stay readable.
func (e *Engine) Close() error {
	if e.closed.Swap(true) {
		return closed("the engine")
	}
	e.cleanup.Stop()
	return closeEngine(e.handle, e.completions)
}

func closeEngine(handle *C.thalweg_engine, completions *completions) error {
	err := call(func(failure *C.thalweg_error) C.thalweg_status { return C.thalweg_engine_close(handle, failure) })
	completions.close()
	return err
}

func (e *Engine) call(function func(*C.thalweg_engine, *C.thalweg_error) C.thalweg_status) error {
	err := call(func(failure *C.thalweg_error) C.thalweg_status { return function(e.handle, failure) })
	runtime.KeepAlive(e)
	return err
}

// callText is call with a name.
func (e *Engine) callText(name string, function func(*C.thalweg_engine, *C.char,
	*C.thalweg_error) C.thalweg_status) error {
	return withText(name, func(name *C.char) error {
		return e.call(func(handle *C.thalweg_engine, failure *C.thalweg_error) C.thalweg_status {
			return function(handle, name, failure)
		})
	})
}

// CreateTopic creates a topic. Durable when it returns.
func (e *Engine) CreateTopic(ctx context.Context, name string, opts ...TopicOption) (*Topic, error) {
	var options C.thalweg_topic_options
	C.thalweg_topic_options_init(&options, C.sizeof_thalweg_topic_options)
	for _, opt := range opts {
		opt(&options)
	}
	return detach(ctx, func() (*Topic, error) {
		var handle *C.thalweg_topic
		err := e.callText(name, func(
			engine *C.thalweg_engine, name *C.char, failure *C.thalweg_error,
		) C.thalweg_status {
			return C.thalweg_topic_create(engine, name, &options, &handle, failure)
		})
		return newTopic(e, name, handle, err)
	}, closeQuietly)
}

// Topic is the topic of a name.
func (e *Engine) Topic(name string) (*Topic, error) {
	var handle *C.thalweg_topic
	err := e.callText(name, func(engine *C.thalweg_engine, name *C.char, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_topic_open(engine, name, &handle, failure)
	})
	return newTopic(e, name, handle, err)
}

// DeleteTopic deletes a topic, and its records. Durable when it returns.
func (e *Engine) DeleteTopic(ctx context.Context, name string) error {
	return detachCall(ctx, func() error {
		return e.callText(name, func(
			engine *C.thalweg_engine, name *C.char, failure *C.thalweg_error,
		) C.thalweg_status {
			return C.thalweg_topic_delete(engine, name, failure)
		})
	})
}

// Topics are all topics, by name.
func (e *Engine) Topics() ([]TopicInfo, error) {
	infos, err := list(func(
		into *C.thalweg_topic_info, capacity C.size_t, count *C.size_t, failure *C.thalweg_error,
	) C.thalweg_status {
		defer runtime.KeepAlive(e)
		return C.thalweg_topic_list(e.handle, into, capacity, count, failure)
	})
	return convert(infos, topicInfo), err
}
