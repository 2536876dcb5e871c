package thalweg_test

import (
	"context"
	"encoding/binary"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	thalweg "example.invalid/thalweg/bindings/go"
)

// A thousand goroutines append and consume, and their contexts end at any moment. What was acknowledged is there,
// once, where it was told to be; what was refused for want of room is not; and every consumer has seen each partition
// without a gap.
func TestAStormOfGoroutines(t *testing.T) {
	const appenders, consumers, partitions = 800, 200, 4
	engine := openStore(t, t.TempDir(), thalweg.DefaultDurability(thalweg.LoseOnKill))
	topic := createTopic(t, engine, "t", thalweg.Partitions(partitions))
	length := 5 * time.Second
	if testing.Short() {
		length = time.Second
	}
	ctx, cancel := context.WithTimeout(t.Context(), length)
	defer cancel()
	type place struct {
		partition uint32
		offset    uint64
	}
	var mutex sync.Mutex
	acknowledged, refusals := map[uint64]place{}, map[uint64]bool{}
	var group sync.WaitGroup
	for appender := range appenders {
		group.Add(1)
		go func() {
			defer group.Done()
			random := rand.New(rand.NewPCG(uint64(appender), 1))
			for count := 0; ctx.Err() == nil; count++ {
				id := uint64(appender)<<32 | uint64(count)
				value := binary.LittleEndian.AppendUint64(nil, id)
				short, stop := context.WithTimeout(ctx, time.Duration(random.IntN(5_000_000)))
				positions, err := topic.Append(short, thalweg.Record{Key: value[:1+random.IntN(4)], Value: value})
				stop()
				mutex.Lock()
				switch {
				case err == nil:
					acknowledged[id] = place{positions[0].Partition, positions[0].BaseOffset}
				case errors.Is(err, thalweg.ErrWouldBlock):
					refusals[id] = true
				case !errors.Is(err, thalweg.ErrTimedOut) || !errors.Is(err, context.DeadlineExceeded):
					t.Error(err)
				}
				mutex.Unlock()
				time.Sleep(time.Duration(random.IntN(20_000_000)))
			}
		}()
	}
	for number := range consumers {
		group.Add(1)
		go func() {
			defer group.Done()
			random := rand.New(rand.NewPCG(uint64(number), 2))
			consumer, err := engine.Consumer(context.Background(), "")
			if err == nil {
				defer consumer.Close()
				err = consumer.Subscribe(context.Background(), topic)
			}
			var next [partitions]uint64
			for err == nil && ctx.Err() == nil {
				short, stop := context.WithTimeout(ctx, time.Duration(random.IntN(50_000_000)))
				var batch *thalweg.Batch
				batch, err = consumer.Poll(short)
				stop()
				if errors.Is(err, context.DeadlineExceeded) {
					err = nil
				}
				if batch == nil {
					continue
				}
				for record := range batch.All() {
					if record.Offset != next[record.Partition] || len(record.Value) != 8 {
						t.Errorf("offset %d of partition %d comes after %d", record.Offset, record.Partition,
							next[record.Partition])
					}
					next[record.Partition] = record.Offset + 1
				}
				batch.Release()
			}
			if err != nil {
				t.Error(err)
			}
		}()
	}
	group.Wait()
	var total uint64
	for partition := range uint32(partitions) {
		total += must[uint64](t)(topic.NextOffset(partition))
	}
	found := map[uint64]place{}
	for _, record := range read(t, subscribed(t, engine, "", topic), int(total)) {
		id := binary.LittleEndian.Uint64(record.Value)
		if _, twice := found[id]; twice || refusals[id] {
			t.Errorf("record %x is there twice, or was refused", id)
		}
		found[id] = place{record.Partition, record.Offset}
	}
	for id, at := range acknowledged {
		if found[id] != at {
			t.Errorf("record %x was acknowledged at %v, and is at %v", id, at, found[id])
		}
	}
	if len(acknowledged) == 0 {
		t.Error("no append was acknowledged")
	}
	t.Logf("%d records, %d acknowledged, %d refused", total, len(acknowledged), len(refusals))
}
