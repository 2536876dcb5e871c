package thalweg_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	thalweg "example.invalid/thalweg/bindings/go"
	"example.invalid/thalweg/bindings/go/prometheus"
)

// threads is how many the process has.
func threads(t testing.TB) int {
	return len(must[[]os.DirEntry](t)(os.ReadDir("/proc/self/task")))
}

func TestEnginesAndTopics(t *testing.T) {
	dir := t.TempDir()
	engine := openStore(t, dir)
	_, err := thalweg.Open(dir, thalweg.LockTimeout(0))
	refused(t, err, thalweg.ErrAlreadyOpen)
	_, err = thalweg.Open(filepath.Join(dir, "none"), thalweg.NoCreate())
	refused(t, err, thalweg.ErrNotFound)
	_, err = thalweg.Open(t.TempDir(), thalweg.Shards(1000))
	refused(t, err, thalweg.ErrInvalidArgument)
	if !strings.Contains(err.Error(), "shards") {
		t.Error(err)
	}
	topic := createTopic(t, engine, "b", thalweg.Partitions(3), thalweg.TopicDurability(thalweg.LoseOnPowerCut))
	createTopic(t, engine, "a")
	_, err = engine.CreateTopic(t.Context(), "a")
	refused(t, err, thalweg.ErrAlreadyExists)
	info := must[thalweg.TopicInfo](t)(topic.Info())
	if info.Name != "b" || info.Partitions != 3 || info.Durability != thalweg.LoseOnPowerCut || topic.Name() != "b" {
		t.Error(info)
	}
	topics := must[[]thalweg.TopicInfo](t)(engine.Topics())
	if len(topics) != 2 || topics[0].Name != "a" || topics[1] != info {
		t.Error(topics)
	}
	check(t, topic.AddPartitions(t.Context(), 40))
	partitions := must[[]thalweg.PartitionInfo](t)(topic.Partitions())
	if len(partitions) != 40 || partitions[39].Partition != 39 || partitions[39].Failed {
		t.Error(partitions)
	}
	check(t, engine.DeleteTopic(t.Context(), "b"))
	_, err = topic.Append(soon(t), thalweg.Record{})
	refused(t, err, thalweg.ErrDeleted)
	works := must[thalweg.Info](t)(engine.Info(t.Context()))
	if works.Shards != 1 || works.ReadOnly || works.StoreID == 0 || !works.RecoveredClean {
		t.Error(works)
	}
	if text := must[string](t)(engine.InfoText(t.Context())); !strings.Contains(text, "runtime: ") {
		t.Error(text)
	}
	if thalweg.Version() == "" || !strings.Contains(thalweg.BuildInfo(), thalweg.Version()) {
		t.Error(thalweg.BuildInfo())
	}
	check(t, engine.Close())
	refused(t, engine.Close(), thalweg.ErrClosed)
	_, err = engine.Topic("a")
	refused(t, err, thalweg.ErrClosed)
	only := openStore(t, dir, thalweg.ReadOnly(), thalweg.WithRuntime(thalweg.RuntimePosix))
	_, err = only.CreateTopic(t.Context(), "c")
	refused(t, err, thalweg.ErrReadOnly)
}

func TestErrorsAreWhatTheSystemSays(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	check(t, os.WriteFile(file, nil, 0o600))
	_, err := thalweg.Open(filepath.Join(file, "store"))
	var told *thalweg.Error
	if !errors.As(err, &told) || !errors.Is(err, syscall.ENOTDIR) || !errors.Is(err, told.Status) ||
		told.Status.String() != "IO" {
		t.Errorf("%v, %+v", err, told)
	}
}

func TestTruncation(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	for range 5 {
		must[[]thalweg.Position](t)(topic.Append(t.Context(), thalweg.Record{}))
	}
	check(t, topic.TruncateBefore(t.Context(), 0, 2))
	check(t, topic.TruncateAfter(t.Context(), 0, 4))
	refused(t, topic.TruncateAfter(t.Context(), 0, 1), thalweg.ErrOutOfRange)
	info := must[[]thalweg.PartitionInfo](t)(topic.Partitions())[0]
	if info.LogStart != 2 || info.HighWatermark != 4 || info.Segments == 0 || info.StoredSize == 0 {
		t.Error(info)
	}
	frames := must[[]thalweg.Frame](t)(topic.Frames(t.Context(), 0, 2, 4))
	if len(frames) == 0 || frames[0].Kind != thalweg.FrameData || frames[0].BaseOffset != 2 || frames[0].HasTerm ||
		frames[0].Why != "" {
		t.Errorf("%+v", frames)
	}
	_, err := topic.Read(t.Context(), 0, 0, 1)
	refused(t, err, thalweg.ErrOutOfRange)
	_, err = topic.Read(t.Context(), 0, 4, 1)
	refused(t, err, thalweg.ErrWouldBlock)
}

func TestKeyValues(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	values := must[*thalweg.KeyValues](t)(engine.KeyValues(topic))
	defer values.Close()
	check(t, values.Put(t.Context(), []byte("a"), []byte("1")))
	check(t, values.Put(t.Context(), []byte("ab"), nil))
	long := []byte(strings.Repeat("long", 10_000))
	check(t, values.Write(t.Context(), thalweg.KeyValue{[]byte("b"), long}, thalweg.KeyValue{[]byte("c"),
		[]byte("3")}, thalweg.KeyValue{Key: []byte("c")}))
	if got := must[[]byte](t)(values.Get(t.Context(), []byte("b"))); string(got) != string(long) {
		t.Error(len(got))
	}
	_, err := values.Get(t.Context(), []byte("c"))
	refused(t, err, thalweg.ErrNotFound)
	refused(t, values.Put(t.Context(), nil, nil), thalweg.ErrInvalidArgument)
	want := []thalweg.KeyValue{{[]byte("a"), []byte("1")}, {[]byte("ab"), []byte{}}}
	if got := must[[]thalweg.KeyValue](t)(values.List(t.Context(), []byte("a"))); !reflect.DeepEqual(got, want) {
		t.Error(got)
	}
	check(t, values.Delete(t.Context(), []byte("a")))
	if got := must[[]thalweg.KeyValue](t)(values.List(t.Context(), nil)); len(got) != 2 {
		t.Error(got)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel()
	refused(t, values.Delete(ended, []byte("a")), context.Canceled)
	if got := must[thalweg.Repaired](t)(engine.RepairKeyValues(t.Context())); got.Kept != 2 {
		t.Error(got)
	}
	must[thalweg.Repaired](t)(engine.RepairPositions(t.Context()))
}

func TestEvents(t *testing.T) {
	dir := t.TempDir()
	engine := must[*thalweg.Engine](t)(thalweg.Open(dir, thalweg.Shards(1)))
	events := must[*thalweg.Events](t)(engine.Events())
	defer events.Close()
	for _, kind := range []thalweg.EventKind{thalweg.EventRecovered, thalweg.EventOpened} {
		event := must[thalweg.Event](t)(events.Next(soon(t)))
		if event.Kind != kind || event.Message == "" || time.Since(event.Time) > time.Minute {
			t.Errorf("%+v", event)
		}
	}
	_, err := events.Try()
	refused(t, err, thalweg.ErrWouldBlock)
	closed := make(chan error)
	go func() { closed <- engine.Close() }()
	if event := must[thalweg.Event](t)(events.Next(soon(t))); event.Kind != thalweg.EventClosed || !event.Clean {
		t.Errorf("%+v", event)
	}
	check(t, <-closed)
	if dropped := must[uint64](t)(events.Dropped()); dropped != 0 {
		t.Error(dropped)
	}
}

func TestMetrics(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	must[[]thalweg.Position](t)(topic.Append(t.Context(), thalweg.Record{Value: []byte("12345")}))
	metrics := must[thalweg.Metrics](t)(engine.Metrics(t.Context()))
	if metrics.AppendedRecords != 1 || metrics.AppendedBytes != 5 || metrics.MemoryBudget != 256<<20 ||
		metrics.Open <= 0 {
		t.Errorf("%+v", metrics)
	}
	if json := must[string](t)(engine.MetricsJSON(t.Context())); !strings.HasPrefix(json, "{") ||
		!strings.HasSuffix(json, "}") {
		t.Error(json)
	}
	server := httptest.NewServer(prometheus.Handler(engine))
	defer server.Close()
	for range 2 {
		response := must[*http.Response](t)(http.Get(server.URL))
		text := string(must[[]byte](t)(io.ReadAll(response.Body)))
		response.Body.Close()
		kind := response.Header.Get("Content-Type")
		if !strings.Contains(text, "thalweg_") || !strings.HasPrefix(kind, "text/plain; version=0.0.4") {
			t.Error(text)
		}
	}
	check(t, engine.Close())
	response := must[*http.Response](t)(http.Get(server.URL))
	response.Body.Close()
	if response.StatusCode != http.StatusServiceUnavailable {
		t.Error(response.Status)
	}
}

func TestBatchesThatAreNeverReleasedAreFoundByTheMetrics(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	must[[]thalweg.Position](t)(topic.Append(t.Context(), thalweg.Record{Value: make([]byte, 1<<20)}))
	held := func() uint64 {
		metrics := must[thalweg.Metrics](t)(engine.Metrics(t.Context()))
		return metrics.MemoryEntries
	}
	leak := func() { must[*thalweg.Batch](t)(topic.Read(t.Context(), 0, 0, 1<<20)) }
	before := held()
	leak()
	// The collector does not release it: somebody may have kept a value.
	for range 3 {
		runtime.GC()
	}
	if after := held(); after <= before {
		t.Errorf("%d bytes of entries before, %d after", before, after)
	}
	leaked := held()
	batch := must[*thalweg.Batch](t)(topic.Read(t.Context(), 0, 0, 1<<20))
	batch.Release()
	batch.Release()
	if held() != leaked {
		t.Error("a batch that is released is still held")
	}
}

func TestBatchesOutliveEverything(t *testing.T) {
	engine := openStore(t, t.TempDir())
	topic := createTopic(t, engine, "t")
	must[[]thalweg.Position](t)(topic.Append(t.Context(), thalweg.Record{Value: []byte("v")}))
	batch := must[*thalweg.Batch](t)(topic.Read(t.Context(), 0, 0, 1))
	check(t, engine.Close())
	if record := batch.At(0); string(record.Value) != "v" || cap(record.Value) != 1 {
		t.Error(record)
	}
	batch.Release()
	defer func() {
		if recover() == nil {
			t.Error("a released batch was looked at")
		}
	}()
	for range batch.All() {
	}
}

func TestWhatIsDroppedIsClosedAtSomeTime(t *testing.T) {
	dir := t.TempDir()
	func() {
		engine := must[*thalweg.Engine](t)(thalweg.Open(dir, thalweg.Shards(1)))
		topic := must[*thalweg.Topic](t)(engine.CreateTopic(context.Background(), "t"))
		must[*thalweg.Consumer](t)(engine.Consumer(context.Background(), "c"))
		must[*thalweg.KeyValues](t)(engine.KeyValues(topic))
		must[*thalweg.Events](t)(engine.Events())
		must[[]thalweg.Position](t)(topic.Append(context.Background(), thalweg.Record{}))
	}()
	for deadline := time.Now().Add(time.Minute); ; {
		runtime.GC()
		engine, err := thalweg.Open(dir, thalweg.LockTimeout(100*time.Millisecond))
		if err == nil {
			check(t, engine.Close())
			return
		}
		refused(t, err, thalweg.ErrAlreadyOpen)
		if time.Now().After(deadline) {
			t.Fatal("an engine that was dropped stays open")
		}
	}
}

func TestAnAppendThatIsUnderWayEndsWithItsEngine(t *testing.T) {
	for range 20 {
		engine := must[*thalweg.Engine](t)(thalweg.Open(t.TempDir(), thalweg.Shards(1)))
		topic := must[*thalweg.Topic](t)(engine.CreateTopic(context.Background(), "t"))
		errs := make(chan error)
		for range 10 {
			go func() {
				for {
					if _, err := topic.Append(context.Background(), thalweg.Record{}); err != nil {
						errs <- err
						return
					}
				}
			}()
		}
		check(t, engine.Close())
		for range 10 {
			refused(t, <-errs, thalweg.ErrClosed)
		}
	}
}
