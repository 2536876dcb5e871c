package thalweg_test

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	thalweg "example.invalid/thalweg/bindings/go"
)

func TestDamageNamesItsOffsets(t *testing.T) {
	dir := t.TempDir()
	engine := must[*thalweg.Engine](t)(thalweg.Open(dir, thalweg.Shards(1)))
	topic := must[*thalweg.Topic](t)(engine.CreateTopic(t.Context(), "t"))
	mark := []byte("the record that rots")
	for _, value := range [][]byte{[]byte("before"), bytes.Repeat(mark, 10_000), []byte("behind")} {
		must[[]thalweg.Position](t)(topic.Append(t.Context(), thalweg.Record{Value: value}))
	}
	check(t, engine.Close())
	rotten := 0
	check(t, filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if at := bytes.Index(content, mark); err == nil && at >= 0 {
			rotten++
			content[at] ^= 1
			err = os.WriteFile(path, content, 0o600)
		}
		return err
	}))
	if rotten == 0 {
		t.Fatal("the record is in no file")
	}
	engine = openStore(t, dir)
	topic = must[*thalweg.Topic](t)(engine.Topic("t"))
	consumer := subscribed(t, engine, "", topic)
	if records := read(t, consumer, 1); string(records[0].Value) != "before" {
		t.Error(records)
	}
	_, err := consumer.Poll(soon(t))
	refused(t, err, thalweg.ErrCorrupt)
	var corrupt *thalweg.CorruptError
	if !errors.As(err, &corrupt) || corrupt.Topic != "t" || corrupt.Partition != 0 || corrupt.Start != 1 ||
		corrupt.End != 2 {
		t.Fatalf("%+v", err)
	}
	check(t, consumer.Seek(t.Context(), topic, 0, thalweg.AtOffset(corrupt.End)))
	if records := read(t, consumer, 1); string(records[0].Value) != "behind" {
		t.Error(records)
	}
	report, ranges, err := engine.Verify(t.Context())
	check(t, err)
	want := []thalweg.DamagedRange{{Topic: "t", Start: 1, End: 2}}
	if report.Damaged != 1 || !reflect.DeepEqual(ranges, want) {
		t.Errorf("%+v, %v", report, ranges)
	}
	must[[]thalweg.DamagedRange](t)(topic.Damaged(0))
}
