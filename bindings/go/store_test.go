package thalweg_test

import (
	"context"
	"errors"
	"testing"
	"time"

	thalweg "example.invalid/thalweg/bindings/go"
)

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// must is what a call answers that must succeed.
func must[T any](t testing.TB) func(T, error) T {
	return func(value T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return value
	}
}

// refused holds an error against what it has to be.
func refused(t testing.TB, err error, want ...error) {
	t.Helper()
	for _, one := range want {
		if !errors.Is(err, one) {
			t.Fatalf("the error is %v, and not %v", err, one)
		}
	}
}

// openStore opens the store of a directory until the test ends.
func openStore(t testing.TB, dir string, opts ...thalweg.Option) *thalweg.Engine {
	t.Helper()
	engine := must[*thalweg.Engine](t)(thalweg.Open(dir, append([]thalweg.Option{thalweg.Shards(1)}, opts...)...))
	t.Cleanup(func() {
		if err := engine.Close(); err != nil && !errors.Is(err, thalweg.ErrClosed) {
			t.Error(err)
		}
	})
	return engine
}

func createTopic(t testing.TB, engine *thalweg.Engine, name string, opts ...thalweg.TopicOption) *thalweg.Topic {
	t.Helper()
	topic := must[*thalweg.Topic](t)(engine.CreateTopic(t.Context(), name, opts...))
	t.Cleanup(func() { check(t, topic.Close()) })
	return topic
}

func subscribed(t testing.TB, engine *thalweg.Engine, name string, topics ...*thalweg.Topic) *thalweg.Consumer {
	t.Helper()
	consumer := must[*thalweg.Consumer](t)(engine.Consumer(t.Context(), name))
	t.Cleanup(func() {
		if err := consumer.Close(); err != nil && !errors.Is(err, thalweg.ErrClosed) {
			t.Error(err)
		}
	})
	check(t, consumer.Subscribe(t.Context(), topics...))
	return consumer
}

// soon is a context for what has to happen.
func soon(t testing.TB) context.Context {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// read polls so many records, and keeps them.
func read(t testing.TB, consumer *thalweg.Consumer, count int) (records []thalweg.Record) {
	t.Helper()
	for len(records) < count {
		batch := must[*thalweg.Batch](t)(consumer.Poll(soon(t)))
		records = append(records, batch.Clone()...)
		batch.Release()
	}
	return records
}
