package thalweg

// #include <thalweg.h>
import "C"

import (
	"context"
	"errors"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
)

// EventKind is what happened.
type EventKind uint32

const (
	EventOther           EventKind = C.THALWEG_EVENT_OTHER
	EventRecovered       EventKind = C.THALWEG_EVENT_RECOVERED
	EventOpened          EventKind = C.THALWEG_EVENT_OPENED
	EventFallback        EventKind = C.THALWEG_EVENT_FALLBACK
	EventDamage          EventKind = C.THALWEG_EVENT_DAMAGE
	EventIOError         EventKind = C.THALWEG_EVENT_IO_ERROR
	EventPartitionFailed EventKind = C.THALWEG_EVENT_PARTITION_FAILED
	EventNoSpace         EventKind = C.THALWEG_EVENT_NO_SPACE
	EventTruncated       EventKind = C.THALWEG_EVENT_TRUNCATED
	EventClosed          EventKind = C.THALWEG_EVENT_CLOSED
	EventDamagedCopy     EventKind = C.THALWEG_EVENT_DAMAGED_COPY
	EventSpaceAvailable  EventKind = C.THALWEG_EVENT_SPACE_AVAILABLE
)

// Event is something that happened in an engine. What does not belong to the kind is zero.
type Event struct {
	Kind      EventKind
	Time      time.Time
	Topic     string
	Partition uint32
	// Offsets.
	Start, End uint64
	Clean      bool
	Status     Status
	OSError    syscall.Errno
	// A sentence to show.
	Message string
}

// Events is the events of an engine since its open began, of which 1,024 are kept until somebody takes them. All
// handles take from one queue. It outlives the engine, to tell of its close.
type Events struct {
	handle  *C.thalweg_events
	eventfd *eventfd
	turn    chan struct{}
	closed  atomic.Bool
	cleanup runtime.Cleanup
}

// Events opens the events of the engine.
func (e *Engine) Events() (*Events, error) {
	events := &Events{turn: make(chan struct{}, 1)}
	err := e.call(func(engine *C.thalweg_engine, failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_events_open(engine, &events.handle, failure)
	})
	if err != nil {
		return nil, err
	}
	var fd C.int32_t
	err = call(func(failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_events_eventfd(events.handle, &fd, failure)
	})
	if err == nil {
		events.eventfd, err = newEventfd(int32(fd))
	}
	if err != nil {
		C.thalweg_events_close(events.handle, nil)
		return nil, err
	}
	left := func(handle *C.thalweg_events) { C.thalweg_events_close(handle, nil) }
	events.cleanup = runtime.AddCleanup(events, left, events.handle)
	return events, nil
}

// Close lets go of the events, which go on to be kept.
func (e *Events) Close() error {
	if e.closed.Swap(true) {
		return closed("the handle of events")
	}
	e.cleanup.Stop()
	e.eventfd.close()
	return call(func(failure *C.thalweg_error) C.thalweg_status { return C.thalweg_events_close(e.handle, failure) })
}

// Next waits for the oldest event, and takes it.
func (e *Events) Next(ctx context.Context) (Event, error) {
	select {
	case e.turn <- struct{}{}:
	case <-ctx.Done():
		return Event{}, ctx.Err()
	}
	defer func() { <-e.turn }()
	var event Event
	var failed error
	err := e.eventfd.wait(ctx, func() bool {
		event, failed = e.Try()
		return !errors.Is(failed, ErrWouldBlock)
	})
	if err != nil {
		return Event{}, err
	}
	return event, failed
}

// Try takes the oldest event; [ErrWouldBlock] says that there is none.
func (e *Events) Try() (Event, error) {
	event := C.thalweg_event{size: C.sizeof_thalweg_event}
	err := call(func(failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_events_poll(e.handle, &event, failure)
	})
	runtime.KeepAlive(e)
	if err != nil {
		return Event{}, err
	}
	return Event{
		EventKind(event.kind), time.UnixMilli(int64(event.time)), text(event.topic[:]), uint32(event.partition),
		uint64(event.start), uint64(event.end), event.clean != 0, Status(event.status), syscall.Errno(event.os_error),
		text(event.message[:]),
	}, nil
}

// Dropped is how many events gave way to newer ones because nobody took them.
func (e *Events) Dropped() (uint64, error) {
	var count C.uint64_t
	err := call(func(failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_events_dropped(e.handle, &count, failure)
	})
	runtime.KeepAlive(e)
	return uint64(count), err
}
