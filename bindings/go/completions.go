package thalweg

/*
#cgo noescape thalweg_completion_queue_poll
#cgo nocallback thalweg_completion_queue_poll

#include <thalweg.h>
*/
import "C"

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

const (
	// How many appends of an engine may be under way; more wait.
	underWayMax = 1 << 18
	// How many completions are taken at once.
	takenAtOnce = 128
	// After how many submits the one who submits takes completions.
	submitsMax = 64
)

// completions gives what arrives in the completion queue of an engine to the tickets that wait for it. A token is the
// index of a slot, which is in use from before the submit until its completion is taken: so the queue of the library,
// which has as much room, is never full.
//
// A goroutine takes completions as they come, but only while somebody waits: the library wakes whoever watches an
// empty queue, which costs more than all the rest of a submit. Otherwise those who submit take them, many at once.
type completions struct {
	queue   *C.thalweg_completion_queue
	eventfd *eventfd
	// Ended by close, when nothing more is under way.
	stop  context.CancelFunc
	ended chan struct{}
	// How many wait, and what tells the goroutine that somebody does.
	waiting atomic.Int64
	wake    chan struct{}
	closing atomic.Bool

	mutex   sync.Mutex
	slots   []*Ticket
	unused  []uint32
	submits int
	// Closed, and replaced, when slots get free that somebody waits for.
	room     chan struct{}
	roomless bool
}

func newCompletions() (*completions, error) {
	c := &completions{ended: make(chan struct{}), room: make(chan struct{}), wake: make(chan struct{}, 1)}
	err := call(func(failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_completion_queue_open(underWayMax, &c.queue, failure)
	})
	if err != nil {
		return nil, err
	}
	var fd C.int32_t
	err = call(func(failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_completion_queue_eventfd(c.queue, &fd, failure)
	})
	if err == nil {
		c.eventfd, err = newEventfd(int32(fd))
	}
	if err != nil {
		C.thalweg_completion_queue_close(c.queue, nil)
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	c.stop = cancel
	go c.read(ctx)
	return c, nil
}

// await keeps the goroutine at work until awaited.
func (c *completions) await() {
	if c.waiting.Add(1) == 1 {
		c.rouse()
	}
}

func (c *completions) awaited() { c.waiting.Add(-1) }

func (c *completions) rouse() {
	select {
	case c.wake <- struct{}{}:
	default:
		// It is told already.
	}
}

// idle: nobody waits for a completion.
func (c *completions) idle() bool { return c.waiting.Load() <= 0 && !c.closing.Load() }

// take gives a ticket a slot. Where there is none, it answers what is closed when there may be one. due: it is time
// to take completions.
func (c *completions) take(ticket *Ticket) (token uint32, full chan struct{}, due bool) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	c.submits++
	due = c.submits%submitsMax == 0
	if last := len(c.unused) - 1; last >= 0 {
		token = c.unused[last]
		c.unused = c.unused[:last]
		c.slots[token] = ticket
		return token, nil, due
	}
	if len(c.slots) == underWayMax {
		c.roomless = true
		return 0, c.room, true
	}
	c.slots = append(c.slots, ticket)
	return uint32(len(c.slots) - 1), nil, due
}

// giveBack frees a slot for which no completion will arrive.
func (c *completions) giveBack(token uint32) {
	c.mutex.Lock()
	c.free(token)
	c.mutex.Unlock()
}

// free frees a slot, under the mutex.
func (c *completions) free(token uint32) *Ticket {
	ticket := c.slots[token]
	c.slots[token] = nil
	c.unused = append(c.unused, token)
	if c.roomless {
		close(c.room)
		c.room, c.roomless = make(chan struct{}), false
	}
	if c.closing.Load() && len(c.unused) == len(c.slots) {
		c.stop()
	}
	return ticket
}

// read is the goroutine.
func (c *completions) read(ctx context.Context) {
	defer close(c.ended)
	for ctx.Err() == nil {
		if c.idle() {
			select {
			case <-c.wake:
			case <-ctx.Done():
			}
			continue
		}
		// It ends by the context, or when nobody waits any more.
		_ = c.eventfd.wait(ctx, func() bool {
			for c.takeSome() {
			}
			return c.idle()
		})
	}
}

// takeSome takes completions, and settles their tickets; whether there were any.
func (c *completions) takeSome() bool {
	var done [takenAtOnce]C.thalweg_completion
	var tickets [takenAtOnce]*Ticket
	var count C.size_t
	if C.thalweg_completion_queue_poll(c.queue, &done[0], takenAtOnce, &count, nil) != C.THALWEG_OK {
		return false
	}
	c.mutex.Lock()
	for i := range done[:count] {
		tickets[i] = c.free(uint32(done[i].token))
	}
	c.mutex.Unlock()
	for i := range done[:count] {
		c.settle(tickets[i], &done[i])
	}
	return true
}

func (c *completions) settle(ticket *Ticket, done *C.thalweg_completion) {
	if done.status == C.THALWEG_OK {
		ticket.settle(Position{uint64(done.base_offset), uint32(done.partition), uint32(done.count)}, nil)
		return
	}
	if done.status == C.THALWEG_WOULD_BLOCK {
		ticket.settle(Position{}, ErrWouldBlock)
		return
	}
	ticket.settle(Position{}, c.failure(done))
}

// failure is why an append failed, in a sentence, where the library still has one.
func (c *completions) failure(done *C.thalweg_completion) error {
	why := C.thalweg_error{size: C.sizeof_thalweg_error}
	err := call(func(failure *C.thalweg_error) C.thalweg_status {
		return C.thalweg_completion_queue_failure(c.queue, done, &why, failure)
	})
	if errors.Is(err, ErrNotFound) {
		status := Status(done.status)
		return &Error{Status: status, Message: status.Error()}
	}
	if err != nil {
		return err
	}
	return readError(&why)
}

// close waits for everything that is under way, which the close of the engine ends, and closes the queue.
func (c *completions) close() {
	c.mutex.Lock()
	c.closing.Store(true)
	if len(c.unused) == len(c.slots) {
		c.stop()
	}
	c.mutex.Unlock()
	c.rouse()
	<-c.ended
	c.eventfd.close()
	C.thalweg_completion_queue_close(c.queue, nil)
}
