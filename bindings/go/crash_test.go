package thalweg_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	thalweg "example.invalid/thalweg/bindings/go"
)

// The process that is killed is this test program, told by this variable which store to append to.
const crashStore = "THALWEG_TEST_CRASH_STORE"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashStore); dir != "" {
		fmt.Fprintln(os.Stderr, appendUntilKilled(dir))
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// appendUntilKilled prints each acknowledgement.
func appendUntilKilled(dir string) error {
	ctx := context.Background()
	engine, err := thalweg.Open(dir, thalweg.Shards(1))
	if err != nil {
		return err
	}
	topic, err := engine.Topic("t")
	if err != nil {
		return err
	}
	round := os.Getpid()
	errs := make(chan error)
	var out sync.Mutex
	for goroutine := range 50 {
		go func() {
			for count := 0; ; count++ {
				value := fmt.Sprintf("%d-%d-%d", round, goroutine, count)
				positions, err := topic.Append(ctx, thalweg.Record{Value: []byte(value)})
				if err != nil {
					errs <- err
					return
				}
				out.Lock()
				fmt.Printf("%s %d %d\n", value, positions[0].Partition, positions[0].BaseOffset)
				out.Unlock()
			}
		}()
	}
	return <-errs
}

// Processes are killed while fifty goroutines append; this one has the acknowledgements.
func TestWhatWasAcknowledgedSurvivesAKill(t *testing.T) {
	dir := t.TempDir()
	engine := must[*thalweg.Engine](t)(thalweg.Open(dir))
	topic := must[*thalweg.Topic](t)(engine.CreateTopic(t.Context(), "t", thalweg.Partitions(3)))
	check(t, topic.Close())
	check(t, engine.Close())
	type place struct {
		partition uint32
		offset    uint64
	}
	acknowledged := map[string]place{}
	for round := range 5 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), crashStore+"="+dir)
		child.Stderr = os.Stderr
		out := must[interface {
			Read([]byte) (int, error)
			Close() error
		}](t)(child.StdoutPipe())
		check(t, child.Start())
		lines := bufio.NewScanner(out)
		for count := 0; lines.Scan(); count++ {
			var value string
			var at place
			if _, err := fmt.Sscan(lines.Text(), &value, &at.partition, &at.offset); err != nil {
				// The last one may be cut short.
				continue
			}
			acknowledged[value] = at
			if count == 300*(round+1) {
				check(t, child.Process.Kill())
			}
		}
		if err := child.Wait(); err == nil || child.ProcessState.Exited() {
			t.Fatalf("the child was not killed: %v", err)
		}
	}
	engine = openStore(t, dir, thalweg.LockTimeout(time.Minute))
	topic = must[*thalweg.Topic](t)(engine.Topic("t"))
	total := 0
	for _, info := range must[[]thalweg.PartitionInfo](t)(topic.Partitions()) {
		total += int(info.HighWatermark)
	}
	found := map[string]place{}
	for _, record := range read(t, subscribed(t, engine, "", topic), total) {
		if _, twice := found[string(record.Value)]; twice {
			t.Errorf("%s is there twice", record.Value)
		}
		found[string(record.Value)] = place{record.Partition, record.Offset}
	}
	if len(acknowledged) < 5*300 {
		t.Errorf("only %d acknowledgements", len(acknowledged))
	}
	for value, at := range acknowledged {
		if found[value] != at {
			t.Errorf("%s was acknowledged at %v, and is at %v", value, at, found[value])
		}
	}
	report, ranges, err := engine.Verify(t.Context())
	if check(t, err); len(ranges) != 0 || report.Records != uint64(total) || report.Damaged != 0 {
		t.Errorf("%+v, %v", report, ranges)
	}
	if damaged := must[[]thalweg.DamagedRange](t)(engine.Damaged(t.Context())); len(damaged) != 0 {
		t.Error(damaged)
	}
}
