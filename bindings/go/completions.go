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
)

const (
	// How many appends of an engine may be under way; more wait.
	underWayMax = 1 << 18
	// How many completions are taken at once.
	takenAtOnce = 512
)

// completions gives what arrives in the completion queue of an engine to the tickets that wait for it, by one goroutine. A
// token is the index of a slot, which is in use from before the submit until its completion is taken: so the queue of the
// library, which has as much room, is never full.
type completions struct {
	queue   *C.thalweg_completion_queue
	eventfd *eventfd
	// Ended by close, when nothing more is under way.
	reader context.CancelFunc
	ended  chan struct{}

	mutex  sync.Mutex
	slots  []*Ticket
	unused []uint32
	// Closed, and replaced, when slots get free that somebody waits for.
	room    chan struct{}
	waiters int
	closing bool
}

func newCompletions() (*completions, error) {
	c := &completions{ended: make(chan struct{}), room: make(chan struct{})}
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
	c.reader = cancel
	go c.read(ctx)
	return c, nil
}

// take gives a ticket a slot. Where there is none, it answers what is closed when there may be one.
func (c *completions) take(ticket *Ticket) (token uint32, full chan struct{}) {
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if last := len(c.unused) - 1; last >= 0 {
		token = c.unused[last]
		c.unused = c.unused[:last]
		c.slots[token] = ticket
		return token, nil
	}
	if len(c.slots) == underWayMax {
		c.waiters++
		return 0, c.room
	}
	c.slots = append(c.slots, ticket)
	return uint32(len(c.slots) - 1), nil
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
	if c.waiters > 0 {
		close(c.room)
		c.room, c.waiters = make(chan struct{}), 0
	}
	if c.closing && len(c.unused) == len(c.slots) {
		c.reader()
	}
	return ticket
}

// read is the goroutine.
func (c *completions) read(ctx context.Context) {
	defer close(c.ended)
	var done [takenAtOnce]C.thalweg_completion
	var tickets [takenAtOnce]*Ticket
	for ctx.Err() == nil {
		// It ends by the context alone.
		_ = c.eventfd.wait(ctx, func() bool {
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
				tickets[i] = nil
			}
			return false
		})
	}
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
	c.closing = true
	if len(c.unused) == len(c.slots) {
		c.reader()
	}
	c.mutex.Unlock()
	<-c.ended
	c.eventfd.close()
	C.thalweg_completion_queue_close(c.queue, nil)
}
