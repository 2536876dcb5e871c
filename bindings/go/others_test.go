package thalweg_test

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	thalweg "example.invalid/thalweg/bindings/go"
)

// Programs that write and read records in other languages; tests/run builds and names them.
var (
	// Commands of tests/other, to which `write` or `read` and a store are added.
	otherRecords = map[string]string{"C": os.Getenv("THALWEG_TEST_C"), "Python": os.Getenv("THALWEG_TEST_PYTHON")}
	// The command thalweg, which is of Rust.
	command = os.Getenv("THALWEG_TEST_COMMAND")
)

func hexadecimal(content []byte) string {
	if content == nil {
		return "-"
	}
	return "x" + hex.EncodeToString(content)
}

// line is a record as tests/other has it.
func line(record thalweg.Record) string {
	words := []string{hexadecimal(record.Key), hexadecimal(record.Value), fmt.Sprint(record.Time.UnixMilli())}
	for _, header := range record.Headers {
		words = append(words, hexadecimal([]byte(header.Name))+"="+hexadecimal(header.Value))
	}
	return strings.Join(words, " ")
}

// variedRecords have every byte, and everything that may be absent or empty.
func variedRecords() []thalweg.Record {
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	var records []thalweg.Record
	for i, key := range [][]byte{nil, {}, []byte("key"), all} {
		for j, value := range [][]byte{nil, {}, []byte("value"), bytes.Repeat(all, 300)} {
			record := thalweg.Record{Key: key, Value: value, Time: time.UnixMilli(int64(i*1000 - j*1_000_000))}
			for k := range (i + j) % 4 {
				record.Headers = append(record.Headers, thalweg.Header{
					Name: strings.Repeat("ü", k), Value: [][]byte{nil, {}, all}[k],
				})
			}
			records = append(records, record)
		}
	}
	return records
}

func lines(records []thalweg.Record) string {
	var all strings.Builder
	for _, record := range records {
		all.WriteString(line(record) + "\n")
	}
	return all.String()
}

func runOther(t *testing.T, input string, words ...string) string {
	t.Helper()
	other := exec.Command(words[0], words[1:]...)
	other.Stdin = strings.NewReader(input)
	var errors bytes.Buffer
	other.Stderr = &errors
	out, err := other.Output()
	if err != nil {
		t.Fatalf("%v: %v\n%s", words, err, errors.String())
	}
	return string(out)
}

// withStore opens a store, and closes it, so that others may.
func withStore(t *testing.T, dir string, function func(engine *thalweg.Engine)) {
	t.Helper()
	engine := must[*thalweg.Engine](t)(thalweg.Open(dir, thalweg.Shards(1)))
	function(engine)
	check(t, engine.Close())
}

func TestOthersReadWhatGoWroteAndGoWhatTheyWrote(t *testing.T) {
	// `go test` alone, as a user of the module runs it, has built none of them; the lane builds and names those of
	// C, and of Python where its package is installed.
	if otherRecords["C"] == "" {
		t.Skip("tests/run names the programs of other languages")
	}
	for name, other := range otherRecords {
		if other == "" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			records, words := variedRecords(), strings.Fields(other)
			dir := t.TempDir()
			withStore(t, dir, func(engine *thalweg.Engine) {
				topic := must[*thalweg.Topic](t)(engine.CreateTopic(t.Context(), "t"))
				must[thalweg.Position](t)(topic.AppendBatch(t.Context(), records[:7]))
				for _, record := range records[7:] {
					must[[]thalweg.Position](t)(topic.Append(t.Context(), record))
				}
			})
			compare(t, runOther(t, "", append(words, "read", dir)...), lines(records))
			dir = t.TempDir()
			runOther(t, lines(records), append(words, "write", dir)...)
			withStore(t, dir, func(engine *thalweg.Engine) {
				topic := must[*thalweg.Topic](t)(engine.Topic("t"))
				compare(t, lines(read(t, subscribed(t, engine, "", topic), len(records))), lines(records))
			})
		})
	}
}

func compare(t *testing.T, got, want string) {
	t.Helper()
	gotLines, wantLines := strings.Split(got, "\n"), strings.Split(want, "\n")
	if len(gotLines) != len(wantLines) {
		t.Fatalf("there are %d lines, and not %d", len(gotLines), len(wantLines))
	}
	for i := range gotLines {
		if gotLines[i] != wantLines[i] {
			t.Errorf("line %d is %.300q and not %.300q", i, gotLines[i], wantLines[i])
		}
	}
}

func TestTheCommandReadsWhatGoWroteAndGoWhatItWrote(t *testing.T) {
	// Likewise: cargo builds it, which `go test` alone does not do.
	if command == "" {
		t.Skip("tests/run names the command")
	}
	var text strings.Builder
	for i := range 1000 {
		fmt.Fprintf(&text, "line %d \x01\x02 ünï %s\n", i, strings.Repeat("x", i))
	}
	want := strings.SplitAfter(strings.TrimSuffix(text.String(), "\n"), "\n")
	dir := t.TempDir()
	runOther(t, text.String(), command, "--dir", dir, "import", "--topic", "t", "-")
	withStore(t, dir, func(engine *thalweg.Engine) {
		topic := must[*thalweg.Topic](t)(engine.Topic("t"))
		for i, record := range read(t, subscribed(t, engine, "", topic), len(want)) {
			if string(record.Value) != strings.TrimSuffix(want[i], "\n") {
				t.Fatalf("line %d is %q", i, record.Value)
			}
			must[[]thalweg.Position](t)(topic.Append(t.Context(), record))
		}
	})
	got := runOther(t, "", command, "--dir", dir, "consume", "--topic", "t", "--from", "1000")
	if got != text.String() {
		t.Errorf("the command reads %d bytes of %d", len(got), text.Len())
	}
	if report := runOther(t, "", command, "--dir", dir, "verify"); !strings.Contains(report, "2000") {
		t.Error(report)
	}
}
