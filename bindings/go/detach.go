package thalweg

import "context"

// detach runs a call that waits for the device, which no context ends: where one ends first, it goes on behind the
// caller, and what it made is undone.
func detach[T any](ctx context.Context, function func() (T, error), undo func(T)) (T, error) {
	if err := ctx.Err(); err != nil {
		var none T
		return none, err
	}
	if ctx.Done() == nil {
		return function()
	}
	type answer struct {
		value T
		err   error
	}
	answers := make(chan answer)
	go func() {
		value, err := function()
		select {
		case answers <- answer{value, err}:
		case <-ctx.Done():
			if err == nil && undo != nil {
				undo(value)
			}
		}
	}()
	select {
	case got := <-answers:
		return got.value, got.err
	case <-ctx.Done():
		var none T
		return none, ctx.Err()
	}
}

// detachCall is detach for a call that answers nothing.
func detachCall(ctx context.Context, function func() error) error {
	_, err := detach(ctx, func() (struct{}, error) { return struct{}{}, function() }, nil)
	return err
}
