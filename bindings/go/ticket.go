package thalweg

import (
	"context"
	"fmt"
	"sync/atomic"
)

// Ticket stands for one append under way. It need not be asked.
type Ticket struct {
	completions *completions
	position    Position
	err         error
	// nil while nobody waits, a channel once somebody does, and over when position and err are told.
	signal atomic.Pointer[signal]
}

type signal struct{ done chan struct{} }

var over = func() *signal {
	s := &signal{make(chan struct{})}
	close(s.done)
	return s
}()

// Done is closed when the append is acknowledged or has failed.
func (t *Ticket) Done() <-chan struct{} {
	if s := t.signal.Load(); s != nil {
		return s.done
	}
	made := &signal{make(chan struct{})}
	if !t.signal.CompareAndSwap(nil, made) {
		// Somebody else waits, or it is over.
		return t.signal.Load().done
	}
	t.completions.await()
	return made.done
}

// Wait waits until the append is acknowledged, and tells where the batch stands. Where the context ends first, the
// append goes on, and the error is both [ErrTimedOut] and the context's.
func (t *Ticket) Wait(ctx context.Context) (Position, error) {
	if t.signal.Load() != over {
		select {
		case <-t.Done():
		case <-ctx.Done():
			if t.signal.Load() == over {
				break
			}
			return Position{}, fmt.Errorf("appended, and not acknowledged yet: %w (%w)", ctx.Err(), ErrTimedOut)
		}
	}
	return t.position, t.err
}

func (t *Ticket) settle(position Position, err error) {
	t.position, t.err = position, err
	if s := t.signal.Swap(over); s != nil {
		close(s.done)
		t.completions.awaited()
	}
}
