package thalweg_test

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"runtime"
	"sync"
	"testing"
	"time"

	thalweg "example.invalid/thalweg/bindings/go"
)

func TestAConsumerGoesOnWhereItCommitted(t *testing.T) {
	dir := t.TempDir()
	for round := range 3 {
		func() {
			engine := must[*thalweg.Engine](t)(thalweg.Open(dir, thalweg.Shards(1)))
			defer func() { check(t, engine.Close()) }()
			topic, err := engine.Topic("t")
			if errors.Is(err, thalweg.ErrNotFound) {
				topic, err = engine.CreateTopic(t.Context(), "t", thalweg.Partitions(2))
			}
			check(t, err)
			must[[]thalweg.Position](t)(topic.Append(soon(t), thalweg.Record{Value: fmt.Appendf(nil, "%d", round)}))
			consumer := must[*thalweg.Consumer](t)(engine.Consumer(t.Context(), "billing"))
			_, err = engine.Consumer(t.Context(), "billing")
			refused(t, err, thalweg.ErrAlreadyOpen)
			check(t, consumer.Subscribe(t.Context(), topic))
			records := read(t, consumer, 1)
			if len(records) != 1 || string(records[0].Value) != fmt.Sprint(round) {
				t.Fatal(records)
			}
			_, err = consumer.TryPoll()
			refused(t, err, thalweg.ErrWouldBlock)
			check(t, consumer.Commit(t.Context()))
		}()
	}
}

func TestPositions(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t", thalweg.Partitions(2))
	for range 3 {
		must[thalweg.Position](t)(topic.AppendBatch(t.Context(), []thalweg.Record{{}}, thalweg.ToPartition(1)))
	}
	consumer := subscribed(t, engine, "c", topic)
	read(t, consumer, 3)
	want := []thalweg.ConsumerPosition{
		{Topic: "t", Partition: 0, Committed: thalweg.NoOffset}, {Topic: "t", Partition: 1, Offset: 3,
			Committed: thalweg.NoOffset},
	}
	if got := must[[]thalweg.ConsumerPosition](t)(consumer.Positions()); !reflect.DeepEqual(got, want) {
		t.Error(got)
	}
	check(t, consumer.CommitPositions(t.Context(), thalweg.CommitPosition{Topic: topic, Partition: 1, Offset: 2,
		Metadata: []byte("m\x00")}))
	err := consumer.CommitPositions(t.Context(), thalweg.CommitPosition{Topic: topic, Partition: 1, Offset: 4})
	refused(t, err, thalweg.ErrOutOfRange)
	named := []thalweg.NamedPosition{{Consumer: "c", Topic: "t", Partition: 1, Offset: 2, HighWatermark: 3, Lag: 1,
		MetadataSize: 2}}
	for _, name := range []string{"c", ""} {
		got := must[[]thalweg.NamedPosition](t)(engine.Positions(t.Context(), name))
		if !reflect.DeepEqual(got, named) {
			t.Error(got)
		}
	}
	if got := must[[]byte](t)(engine.PositionMetadata(t.Context(), "c", "t", 1)); string(got) != "m\x00" {
		t.Error(got)
	}
	refused(t, engine.ResetPosition(t.Context(), "c", topic, thalweg.AllPartitions, thalweg.Earliest),
		thalweg.ErrAlreadyOpen)
	check(t, consumer.Seek(t.Context(), topic, 1, thalweg.AtOffset(1)))
	if lag := must[uint64](t)(consumer.Lag()); lag != 2 {
		t.Error(lag)
	}
	check(t, consumer.SeekAll(t.Context(), thalweg.Latest))
	if lag := must[uint64](t)(consumer.Lag()); lag != 0 {
		t.Error(lag)
	}
	check(t, consumer.Unsubscribe(topic))
	_, err = consumer.TryPoll()
	refused(t, err, thalweg.ErrInvalidArgument)
	check(t, consumer.Assign(t.Context(), topic, 1, thalweg.AtTime(time.UnixMilli(0))))
	if records := read(t, consumer, 3); len(records) != 3 {
		t.Error(records)
	}
	check(t, consumer.Close())
	check(t, engine.ResetPosition(t.Context(), "c", topic, thalweg.AllPartitions, thalweg.Latest))
	check(t, engine.DeletePositions(t.Context(), "c", topic))
	refused(t, engine.DeletePositions(t.Context(), "c", nil), thalweg.ErrNotFound)
}

func TestOptionsOfConsumers(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	for range 3 {
		must[[]thalweg.Position](t)(topic.Append(t.Context(), thalweg.Record{}))
	}
	check(t, topic.TruncateBefore(t.Context(), 0, 2))
	consumer := must[*thalweg.Consumer](t)(engine.Consumer(
		t.Context(), "", thalweg.StartAt(thalweg.Latest), thalweg.OutOfRangeAt(thalweg.Earliest), thalweg.MaxBytes(1),
	))
	defer consumer.Close()
	check(t, consumer.Subscribe(t.Context(), topic))
	must[[]thalweg.Position](t)(topic.Append(t.Context(), thalweg.Record{}))
	if records := read(t, consumer, 1); records[0].Offset != 3 {
		t.Error(records)
	}
	check(t, consumer.Seek(t.Context(), topic, 0, thalweg.Earliest))
	check(t, topic.TruncateBefore(t.Context(), 0, 3))
	if records := read(t, consumer, 1); records[0].Offset != 3 {
		t.Error(records)
	}
	_, err := engine.Consumer(t.Context(), "", thalweg.OutOfRangeAt(thalweg.Committed))
	refused(t, err, thalweg.ErrInvalidArgument)
	strict := subscribed(t, engine, "strict", topic)
	check(t, topic.TruncateBefore(t.Context(), 0, 4))
	_, err = strict.Poll(soon(t))
	refused(t, err, thalweg.ErrOutOfRange)
	_, err = engine.Consumer(t.Context(), "a\x00b")
	refused(t, err, thalweg.ErrInvalidArgument)
}

func TestAContextEndsWaitsAtOnceAndTheNextGoesOn(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	consumer := subscribed(t, engine, "", topic)
	for i := range 100 {
		ctx, cancel := context.WithCancel(context.Background())
		errs := make(chan error, 1)
		go func() {
			_, err := consumer.Poll(ctx)
			errs <- err
		}()
		if i%2 == 0 {
			time.Sleep(time.Millisecond)
		}
		cancel()
		select {
		case err := <-errs:
			refused(t, err, context.Canceled)
		case <-time.After(10 * time.Second):
			t.Fatal("a poll did not end with its context")
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Millisecond)
	defer cancel()
	_, err := consumer.Poll(ctx)
	refused(t, err, context.DeadlineExceeded)
	must[[]thalweg.Position](t)(topic.Append(t.Context(), thalweg.Record{}))
	read(t, consumer, 1)
}

func TestACloseEndsWaits(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	errs := make(chan error, 3)
	consumer, other := subscribed(t, engine, "", topic), subscribed(t, engine, "", topic)
	events := must[*thalweg.Events](t)(engine.Events())
	for _, wait := range []func() error{
		func() error { _, err := consumer.Poll(context.Background()); return err },
		func() error { _, err := other.Poll(context.Background()); return err },
		func() error {
			for {
				if _, err := events.Next(context.Background()); err != nil {
					return err
				}
			}
		},
	} {
		go func() { errs <- wait() }()
	}
	time.Sleep(50 * time.Millisecond)
	check(t, consumer.Close())
	refused(t, <-errs, thalweg.ErrClosed)
	check(t, events.Close())
	refused(t, <-errs, thalweg.ErrClosed)
	check(t, engine.Close())
	refused(t, <-errs, thalweg.ErrClosed)
	refused(t, consumer.Close(), thalweg.ErrClosed)
}

func TestGoroutinesTakeTurnsAndNobodyMissesARecord(t *testing.T) {
	engine := openStore(t, t.TempDir(), thalweg.DefaultDurability(thalweg.LoseOnKill))
	topic := createTopic(t, engine, "t", thalweg.Partitions(4))
	consumer := subscribed(t, engine, "", topic)
	ctx, cancel := context.WithCancel(context.Background())
	const records = 20_000
	seen := make(chan int, records)
	var group sync.WaitGroup
	for range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for batch, err := range consumer.Batches(ctx) {
				if err != nil {
					refused(t, err, context.Canceled)
					return
				}
				seen <- batch.Len()
			}
		}()
	}
	for i := range records {
		must[*thalweg.Ticket](t)(topic.Submit(t.Context(), thalweg.Record{}))
		if i%100 == 0 {
			runtime.Gosched()
		}
	}
	for count := 0; count < records; {
		select {
		case some := <-seen:
			count += some
		case <-time.After(time.Minute):
			t.Fatalf("%d records were seen of %d", count, records)
		}
	}
	cancel()
	group.Wait()
}

func TestGoroutinesThatWaitCostNoThread(t *testing.T) {
	engine := openStore(t, t.TempDir())
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	topic := createTopic(t, engine, "t")
	before := threads(t)
	for range 200 {
		consumer := subscribed(t, engine, "", topic)
		group.Add(1)
		go func() {
			defer group.Done()
			_, err := consumer.Poll(ctx)
			refused(t, err, context.Canceled)
		}()
	}
	time.Sleep(100 * time.Millisecond)
	if after := threads(t); after > before+100 {
		t.Errorf("%d threads, and before 200 goroutines waited %d", after, before)
	}
	cancel()
	group.Wait()
}
