package thalweg_test

import (
	"bytes"
	"testing"

	thalweg "example.invalid/thalweg/bindings/go"
)

// BenchmarkAll is what one record costs whoever goes through a batch and looks at its value.
func BenchmarkAll(b *testing.B) {
	engine := openStore(b, b.TempDir(), thalweg.DefaultDurability(thalweg.LoseOnKill))
	topic := createTopic(b, engine, "t")
	records := make([]thalweg.Record, 8192)
	for i := range records {
		records[i].Value = bytes.Repeat([]byte("x"), 100)
	}
	must[thalweg.Position](b)(topic.AppendBatch(b.Context(), records))
	batch := must[*thalweg.Batch](b)(topic.Read(b.Context(), 0, 0, 1<<20))
	defer batch.Release()
	sum := 0
	b.ResetTimer()
	for left := b.N; left > 0; {
		for record := range batch.All() {
			sum += int(record.Value[0])
			if left--; left == 0 {
				break
			}
		}
	}
	if sum != b.N*'x' {
		b.Fatal(sum)
	}
}
