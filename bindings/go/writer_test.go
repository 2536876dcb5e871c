package thalweg_test

import (
	"bytes"
	"fmt"
	"testing"

	thalweg "example.invalid/thalweg/bindings/go"
)

func TestAWriterKeepsEachRecordAndTheOrderOfKeys(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t", thalweg.Partitions(3))
	writer := topic.Writer()
	const records = 20_000
	buffer := make([]byte, 0, 400)
	for i := range records {
		// The buffer is used again: the writer has to copy it.
		buffer = append(fmt.Appendf(buffer[:0], "%d ", i), bytes.Repeat([]byte("x"), i%300)...)
		record := thalweg.Record{Key: fmt.Append(nil, i%7), Value: buffer}
		if i%1000 == 0 {
			record.Headers = []thalweg.Header{{Name: "h", Value: buffer[:1]}}
		}
		check(t, writer.Write(t.Context(), record))
	}
	check(t, writer.Flush(soon(t)))
	check(t, writer.Flush(soon(t)))
	seen, last := map[int]bool{}, map[string]int{}
	for _, record := range read(t, subscribed(t, engine, "", topic), records) {
		var number int
		fmt.Sscan(string(record.Value), &number)
		want := append(fmt.Appendf(nil, "%d ", number), bytes.Repeat([]byte("x"), number%300)...)
		if seen[number] || !bytes.Equal(record.Value, want) || string(record.Key) != fmt.Sprint(number%7) {
			t.Fatalf("record %d is %q", number, record.Value)
		}
		if number%1000 == 0 && (len(record.Headers) != 1 || record.Headers[0].Value[0] != want[0]) {
			t.Errorf("record %d has the headers %v", number, record.Headers)
		}
		if before, known := last[string(record.Key)]; known && before > number {
			t.Errorf("record %d is behind %d", number, before)
		}
		seen[number], last[string(record.Key)] = true, number
	}
}

func TestAWriterAnswersItsErrorFromThenOn(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	writer := topic.Writer()
	check(t, writer.Write(t.Context(), thalweg.Record{Value: make([]byte, 17<<20)}))
	refused(t, writer.Flush(soon(t)), thalweg.ErrTooLarge)
	refused(t, writer.Write(t.Context(), thalweg.Record{}), thalweg.ErrTooLarge)
	refused(t, writer.Flush(soon(t)), thalweg.ErrTooLarge)
	check(t, engine.Close())
	writer = topic.Writer()
	check(t, writer.Write(t.Context(), thalweg.Record{}))
	refused(t, writer.Flush(soon(t)), thalweg.ErrClosed)
}
