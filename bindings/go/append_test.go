package thalweg_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	thalweg "example.invalid/thalweg/bindings/go"
)

func TestWhatIsAppendedIsRead(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	when := time.UnixMilli(-1_700_000_000_001)
	records := []thalweg.Record{
		{},
		{Value: []byte("value")},
		{Key: []byte{}, Value: []byte{}},
		{Key: []byte("tombstone")},
		{Key: []byte("k"), Value: bytes.Repeat([]byte{0, 1, 255}, 1_000_000), Time: when},
		{Value: []byte("h"), Headers: []thalweg.Header{
			{Name: "a", Value: []byte("1")}, {Name: "", Value: nil}, {Name: "a", Value: []byte{}}, {Name: "ü",
				Value: []byte{0}},
		}},
	}
	for _, record := range records {
		position := must[[]thalweg.Position](t)(topic.Append(soon(t), record))
		if len(position) != 1 || position[0].Count != 1 || position[0].Partition != 0 {
			t.Fatal(position)
		}
	}
	at := must[thalweg.Position](t)(topic.AppendBatch(soon(t), records))
	if at != (thalweg.Position{BaseOffset: uint64(len(records)), Count: uint32(len(records))}) {
		t.Fatal(at)
	}
	for i, got := range read(t, subscribed(t, engine, "", topic), 2*len(records)) {
		want := records[i%len(records)]
		if got.Offset != uint64(i) {
			t.Errorf("record %d has offset %d", i, got.Offset)
		}
		if !want.Time.IsZero() && !got.Time.Equal(want.Time) || time.Since(got.Time) > time.Minute &&
			want.Time.IsZero() {
			t.Errorf("record %d has the time %v", i, got.Time)
		}
		got.Time, want.Time, got.Offset = time.Time{}, time.Time{}, 0
		if !reflect.DeepEqual(got, want) {
			t.Errorf("record %d is %.200v and not %.200v", i, got, want)
		}
	}
}

func TestAppendDividesRecordsByTheirKeys(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t", thalweg.Partitions(4))
	var records []thalweg.Record
	for i := range 1000 {
		record := thalweg.Record{Value: fmt.Appendf(nil, "%d", i)}
		if i%3 != 0 {
			record.Key = fmt.Appendf(nil, "key %d", i%17)
		}
		records = append(records, record)
	}
	positions := must[[]thalweg.Position](t)(topic.Append(soon(t), records...))
	count := 0
	for _, position := range positions {
		count += int(position.Count)
	}
	if count != len(records) || len(positions) != 5 {
		t.Fatal(positions)
	}
	last := map[string]int{}
	for _, record := range read(t, subscribed(t, engine, "", topic), len(records)) {
		var number int
		fmt.Sscan(string(record.Value), &number)
		if record.Key != nil {
			if partition := must[uint32](t)(topic.PartitionOf(record.Key)); partition != record.Partition {
				t.Errorf("%s is in partition %d, and belongs to %d", record.Key, record.Partition, partition)
			}
		}
		if before, known := last[string(record.Key)]; known && before >= number {
			t.Errorf("record %d of %q is behind %d", number, record.Key, before)
		}
		last[string(record.Key)] = number
	}
	if positions, err := topic.Append(soon(t)); positions != nil || err != nil {
		t.Error(positions, err)
	}
	_, err := topic.AppendBatch(soon(t), nil)
	refused(t, err, thalweg.ErrInvalidArgument)
}

func TestMoreThanABatchTakesIsAppendedInSeveral(t *testing.T) {
	engine := openStore(t, t.TempDir(), thalweg.DefaultDurability(thalweg.LoseOnKill))
	topic := createTopic(t, engine, "t")
	positions := must[[]thalweg.Position](t)(topic.Append(soon(t), make([]thalweg.Record, 65_535*2+1)...))
	if len(positions) != 3 || positions[0].Count != 65_535 || positions[2].Count != 1 {
		t.Error(positions)
	}
	large := thalweg.Record{Value: make([]byte, 9<<20)}
	if positions := must[[]thalweg.Position](t)(topic.Append(soon(t), large, large, large)); len(positions) != 3 {
		t.Error(positions)
	}
	_, err := topic.AppendBatch(soon(t), []thalweg.Record{large, large, large})
	refused(t, err, thalweg.ErrTooLarge)
}

func TestAPartThatFailsIsTold(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t", thalweg.Partitions(2))
	keys := map[uint32][]byte{}
	for i := 0; len(keys) < 2; i++ {
		key := fmt.Appendf(nil, "%d", i)
		keys[must[uint32](t)(topic.PartitionOf(key))] = key
	}
	wrong := thalweg.Record{Key: keys[1], Headers: []thalweg.Header{{Name: strings.Repeat("n", 1025)}}}
	positions, err := topic.Append(soon(t), thalweg.Record{Key: keys[0]}, wrong, thalweg.Record{Key: keys[0]})
	refused(t, err, thalweg.ErrTooLarge)
	var part *thalweg.PartError
	if !errors.As(err, &part) || !reflect.DeepEqual(part.Records, []int{1}) {
		t.Error(err)
	}
	if !reflect.DeepEqual(positions, []thalweg.Position{{BaseOffset: 0, Partition: 0, Count: 2}}) {
		t.Error(positions)
	}
}

func TestAppendOptions(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t", thalweg.Partitions(3))
	one := []thalweg.Record{{Value: []byte("v")}}
	at := must[thalweg.Position](t)(topic.AppendBatch(
		soon(t), one, thalweg.ToPartition(2), thalweg.ExpectOffset(0), thalweg.WithTerm(7),
		thalweg.WithDurability(thalweg.LoseOnKill),
	))
	if at != (thalweg.Position{Partition: 2, Count: 1}) {
		t.Error(at)
	}
	_, err := topic.Submit(soon(t), one[0], thalweg.ToPartition(2), thalweg.ExpectOffset(0))
	refused(t, err, thalweg.ErrOffsetMismatch)
	_, err = topic.Submit(soon(t), one[0], thalweg.ToPartition(3))
	refused(t, err, thalweg.ErrNotFound)
	must[thalweg.Position](t)(topic.AppendBatch(soon(t), one, thalweg.ToPartition(2), thalweg.ExpectOffset(1)))
	if next := must[uint64](t)(topic.NextOffset(2)); next != 2 {
		t.Error(next)
	}
	// One read gives what lies in one piece of memory, which may be the first record alone.
	for offset, term := range []uint64{7, 0} {
		batch := must[*thalweg.Batch](t)(topic.Read(soon(t), 2, uint64(offset), 1<<20))
		defer batch.Release()
		if batch.Len() == 0 || batch.Topic() != "t" || batch.Partition() != 2 {
			t.Fatal(batch.Len())
		}
		if found, err := batch.Term(0); term == 0 {
			refused(t, err, thalweg.ErrNotFound)
		} else if err != nil || found != term {
			t.Error(found, err)
		}
		if when := must[time.Time](t)(batch.AppendTime(0)); time.Since(when) > time.Minute {
			t.Error(when)
		}
	}
}

func TestTicketsAreSettledOnceForAll(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	var tickets []*thalweg.Ticket
	for i := range 5000 {
		ticket := must[*thalweg.Ticket](t)(topic.Submit(soon(t), thalweg.Record{Value: fmt.Appendf(nil, "%d", i)}))
		tickets = append(tickets, ticket)
	}
	for i, ticket := range tickets {
		if i%2 == 0 {
			<-ticket.Done()
		}
		for range 2 {
			if at := must[thalweg.Position](t)(ticket.Wait(soon(t))); at.BaseOffset != uint64(i) {
				t.Fatalf("ticket %d is for %v", i, at)
			}
		}
		<-ticket.Done()
	}
}

func TestAContextThatHasEndedSaysWhatBecameOfTheAppend(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	// The first append of a partition waits for its file, and so for room.
	_, err := topic.Append(ended, thalweg.Record{})
	refused(t, err, context.Canceled, thalweg.ErrWouldBlock)
	must[[]thalweg.Position](t)(topic.Append(soon(t), thalweg.Record{}))
	ticket := must[*thalweg.Ticket](t)(topic.Submit(soon(t), thalweg.Record{}))
	if _, err = ticket.Wait(ended); err != nil {
		refused(t, err, context.Canceled, thalweg.ErrTimedOut)
	}
	must[thalweg.Position](t)(ticket.Wait(soon(t)))
	if next := must[uint64](t)(topic.NextOffset(0)); next != 2 {
		t.Error(next)
	}
}

func TestAppendsWaitForRoom(t *testing.T) {
	engine := openStore(t, t.TempDir(), thalweg.MemoryBudget(64<<20), thalweg.DefaultDurability(thalweg.LoseOnKill))
	topic := createTopic(t, engine, "t")
	value := make([]byte, 1<<20)
	var last *thalweg.Ticket
	for range 256 {
		last = must[*thalweg.Ticket](t)(topic.Submit(soon(t), thalweg.Record{Value: value}))
	}
	if at := must[thalweg.Position](t)(last.Wait(soon(t))); at.BaseOffset != 255 {
		t.Error(at)
	}
}
