// The C++ layer: what it owns it closes, what it answers is what C answers.
#include <sys/resource.h>

#include <cassert>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "thalweg.hpp"

#define CHECK(condition)                                                          \
    do {                                                                          \
        if (!(condition)) {                                                       \
            std::fprintf(stderr, "%s:%d: not: %s\n", __FILE__, __LINE__, #condition); \
            std::_Exit(1);                                                        \
        }                                                                         \
    } while (0)

template <typename Call> thalweg_status thrown(Call call) {
    try {
        call();
    } catch (const thalweg::error &error) {
        CHECK(error.what()[0] != 0);
        return error.status();
    }
    return THALWEG_OK;
}

static thalweg::engine_options small() {
    auto options = thalweg::engine_options().with_memory_budget(64 << 20).with_shards(1);
    if (std::getenv("THALWEG_TEST_POSIX") != nullptr) options.with_runtime(THALWEG_RUNTIME_POSIX);
    return options;
}

static void appends_and_reads(thalweg::engine &engine) {
    auto topic = engine.create_topic("orders", thalweg::topic_options(2));
    CHECK(thrown([&] { engine.create_topic("orders"); }) == THALWEG_ALREADY_EXISTS);
    CHECK(thrown([&] { engine.open_topic("nothing"); }) == THALWEG_NOT_FOUND);
    const std::vector<thalweg::header> headers = {{"trace", "4bf9"}, thalweg::header("flag")};
    auto full = thalweg::record("two lamps").with_key("ann").with_timestamp(7).with_headers(headers);
    const auto options = thalweg::append_options().with_term(3).with_expected_offset(0);
    CHECK(topic.append(full, 1, options).base_offset == 0);
    CHECK(thrown([&] { topic.append(full, 1, options); }) == THALWEG_OFFSET_MISMATCH);
    CHECK(topic.append({thalweg::record("a"), thalweg::record(std::string_view("b\0c", 3))}, 1).count == 2);
    CHECK(topic.partition_of("ann") < 2 && topic.next_offset(1) == 3 && topic.partitions().size() == 2);
    CHECK(topic.describe().partitions == 2 && engine.topics().size() == 1);

    auto batch = topic.read(1, 0);
    CHECK(batch && batch->size() >= 1 && batch->partition() == 1 && std::string_view(batch->topic()) == "orders");
    const auto first = (*batch)[0];
    CHECK(first.key() == "ann" && first.value() == "two lamps" && first.timestamp() == 7 && first.header_count() == 2);
    CHECK(batch->header(0, 0).name == "trace" && batch->header(0, 0).value == "4bf9");
    CHECK(!batch->header(0, 1).value && batch->term(0) == 3 && batch->append_time(0) > 0);
    CHECK(first.headers().size() == 2 && first.headers()[0].name == "trace" && first.headers()[0].value == "4bf9");
    CHECK(first.headers()[1].name == "flag" && !first.headers()[1].value);
    CHECK(thrown([&] { batch->header(0, 2); }) == THALWEG_NOT_FOUND);
    thalweg::batch shared = batch->share();
    batch.reset();
    CHECK(shared[0].value() == "two lamps");
    thalweg::batch moved = std::move(shared);
    CHECK(!shared && shared.empty() && moved[0].value() == "two lamps");
    CHECK(thalweg::batch(moved.share().release())[0].value() == "two lamps");
    moved = thalweg::batch();
    CHECK(!topic.read(1, 3) && thrown([&] { topic.read(1, 4); }) == THALWEG_OUT_OF_RANGE);

    auto reader = topic.reader(1);
    std::vector<std::string> values;
    while (const auto next = reader.next(1 << 20, thalweg::milliseconds(0)))
        for (const auto record : *next) values.emplace_back(record.value());
    CHECK(values.size() == 3 && values[2] == std::string("b\0c", 3) && reader.offset() == 3);
    reader.seek(thalweg::start::offset(1));
    CHECK(reader.next()->begin() != thalweg::batch().begin() && reader.offset() > 1);
    topic.truncate_before(1, 1);
    topic.truncate_after(1, topic.next_offset(1));
    topic.add_partitions(3);
    CHECK(topic.partitions()[1].log_start == 1);
}

// An append that is made and one that is not are told apart.
static void time_outs(thalweg::engine &engine) {
    const thalweg::milliseconds none(0);
    auto topic = engine.create_topic("slow");
    const std::vector<thalweg::record> records = {thalweg::record("a"), thalweg::record("b")};
    const std::vector<thalweg::bytes> parts = {"c", "", "d"};
    // The first append of a partition has to wait for its segment, and there is no time to.
    CHECK(!topic.append_for(none, thalweg::record("x")) && topic.next_offset(0) == 0);
    CHECK(topic.append_for(thalweg::milliseconds(60000), records)->count == 2);
    const auto made = [&](auto append) {
        for (;;) {
            const std::uint64_t before = topic.next_offset(0);
            try {
                // The device may be faster than the clock.
                if (append()) continue;
            } catch (const thalweg::timed_out &error) {
                return error.status() == THALWEG_TIMED_OUT && topic.next_offset(0) > before;
            }
            if (topic.next_offset(0) != before) return false;
        }
    };
    CHECK(made([&] { return topic.append_for(none, thalweg::record("x"), 0).has_value(); }));
    CHECK(made([&] { return topic.append_for(none, records, 0).has_value(); }));
    CHECK(made([&] { return topic.append_parts_for(none, thalweg::record(), parts, 0).has_value(); }));
    topic.append(thalweg::record("last"), 0);
    // What is left until a moment that has passed is not without end.
    CHECK(!topic.read(0, topic.next_offset(0), 1, thalweg::milliseconds(-5)));
    CHECK(!topic.reader(0, thalweg::start::latest()).next(1, thalweg::milliseconds(-5)));
    engine.delete_topic("slow");
}

static void parts_and_copies(thalweg::engine &engine) {
    auto topic = engine.create_topic("parts", thalweg::topic_options(2));
    thalweg::completion_queue queue;
    topic.append(thalweg::record("warm"), 0);
    CHECK(topic.append_parts(thalweg::record().with_key("k"), {"one", " ", "two"}, 0).base_offset == 1);
    CHECK(topic.submit_parts(thalweg::record(), {"three", "four"}, queue, 7, 0)->base_offset == 2);
    const thalweg::record array[] = {thalweg::record("five"), thalweg::record("six")};
    CHECK(topic.submit(array, queue, 8, 0)->count == 2);
    thalweg_completion done[2];
    for (std::size_t count = 0; count < 2; count += queue.wait(done, 2)) continue;
    const std::vector<std::string> expected = {"warm", "one two", "threefour", "five", "six"};
    thalweg::record_copies copies;
    std::vector<std::string> values;
    for (std::uint64_t at = 0; topic.read_copy(0, at, copies); at = copies.next_offset())
        for (const auto record : copies) values.emplace_back(record.value());
    CHECK(values == expected && copies.next_offset() == 5);
    // As many as have room.
    thalweg::record_copies small(1 << 10, 2);
    CHECK(topic.read_copy(0, 3, small) && small.size() == 2 && small[1].value() == "six" && !small.empty());
    const auto batch = topic.read(0, 3);
    CHECK(batch->size() == 2 && batch->copy(1, small) == 1 && (*small.begin()).value() == "six");
    CHECK(small.size() == 1 && small.next_offset() == 5 && batch->copy(2, small) == 0 && small.empty());
    thalweg::record_copies tiny(1, 1);
    CHECK(thrown([&] { topic.read_copy(0, 1, tiny); }) == THALWEG_TOO_LARGE);
    CHECK(thrown([&] { batch->copy(0, tiny); }) == THALWEG_TOO_LARGE);
    // Moved, its records go along, and what is left has none.
    CHECK(topic.read_copy(0, 3, small));
    thalweg::record_copies moved = std::move(small);
    CHECK(moved.size() == 2 && moved[1].value() == "six" && small.empty() && small.begin() == small.end());
    small = std::move(moved);
    CHECK(small.size() == 2 && small[1].value() == "six" && moved.empty() && moved.begin() == moved.end());
    moved = small;
    CHECK(moved.size() == 2 && small.size() == 2 && moved[0].value() == "five");

    // Braces are a list, also around one record.
    CHECK(topic.append({"alone"}, 1).count == 1);
    CHECK(topic.append_for(std::chrono::minutes(1), {"alone"}, 1)->count == 1);
    CHECK(topic.append_for(std::chrono::minutes(1), {"not", "alone"}, 1)->count == 2);
    CHECK(topic.submit({"alone"}, queue, 9, 1)->count == 1);
    CHECK(topic.submit({thalweg::record("not"), "alone"}, queue, 10, 1)->base_offset == 5);
    for (std::size_t count = 0; count < 2; count += queue.wait(done, 2)) continue;

    const auto results = topic.append_split({thalweg::record("a").with_key("1"), thalweg::record("b").with_key("2"),
                                             thalweg::record("c").with_key("3"), thalweg::record("d").with_key("4")});
    CHECK(results.size() == 4);
    for (std::size_t nth = 0; nth < results.size(); nth++) {
        CHECK(results[nth].status == THALWEG_OK);
        CHECK(results[nth].partition == topic.partition_of(std::to_string(nth + 1)));
        CHECK(!topic.failure(results[nth]));
    }
    CHECK(topic.append_split({}).empty());

    const auto frames = topic.frames(0, 0, 5);
    CHECK(frames.size() >= 4 && frames[0].kind == THALWEG_FRAME_DATA && frames[0].base_offset == 0);
    CHECK(topic.damaged(0).empty() && engine.damaged().empty());
    CHECK(thrown([&] { topic.damaged(9); }) == THALWEG_NOT_FOUND);
    engine.delete_topic("parts");
}

static void completions(thalweg::engine &engine) {
    auto topic = engine.open_topic("orders");
    thalweg::completion_queue queue(16);
    thalweg_completion done[16];
    CHECK(queue.poll(done, 16) == 0 && queue.eventfd() >= 0);
    std::size_t submitted = 0, durable = 0;
    const auto options = thalweg::append_options().with_notify();
    const auto take = [&] {
        const std::size_t taken = queue.wait(done, 16);
        for (std::size_t nth = 0; nth < taken; nth++) durable += done[nth].status == THALWEG_OK;
        return taken;
    };
    // The queue is full now and then: the next completion makes room.
    while (submitted < 100) {
        if (topic.submit(thalweg::record("x"), queue, submitted, 0, options)) submitted++;
        else take();
    }
    while (take() > 0) continue;
    CHECK(durable == 100);
    CHECK(queue.under_way() == 0 && queue.wait(done, 16) == 0 && topic.next_offset(0) == 100);
    // The first append of a partition finds no segment, and is told when there is one.
    auto fresh = engine.create_topic("fresh");
    CHECK(!fresh.submit(thalweg::record("x"), queue, 7, 0, options) && queue.wait(done, 16) == 1);
    CHECK(done[0].token == 7 && done[0].status == THALWEG_WOULD_BLOCK && !queue.failure(done[0]));
    CHECK(fresh.submit(thalweg::record("x"), queue, 8, 0, options) && queue.wait(done, 16) == 1);
    CHECK(done[0].token == 8 && done[0].status == THALWEG_OK);
    engine.delete_topic("fresh");
}

static void failures(const std::filesystem::path &place) {
    thalweg::engine engine(place, small());
    auto topic = engine.create_topic("failing");
    const std::string value(128 << 10, 'x');
    topic.append(thalweg::record(value));
    rlimit before, limited;
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    limited = before;
    limited.rlim_cur = 64 << 10;
    CHECK(setrlimit(RLIMIT_FSIZE, &limited) == 0);
    thalweg::completion_queue queue;
    thalweg_completion done;
    do {
        CHECK(topic.submit(thalweg::record(value), queue, 1) && queue.wait(&done, 1) == 1);
        CHECK(queue.failure(done).has_value() == (done.status != THALWEG_OK));
    } while (done.status == THALWEG_OK);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    const thalweg::error why = *queue.failure(done);
    CHECK(why.status() == done.status && why.os_error() == EFBIG);
    CHECK(std::string_view(why.what()).find("failing") != std::string_view::npos);
    const auto refused = topic.append_split({"a"})[0];
    CHECK(refused.status == THALWEG_PARTITION_FAILED && topic.failure(refused)->status() == refused.status);
}

static void consumers(thalweg::engine &engine) {
    auto topic = engine.open_topic("orders");
    {
        auto consumer = engine.consumer("billing");
        CHECK(thrown([&] { engine.consumer("billing"); }) == THALWEG_ALREADY_OPEN);
        consumer.subscribe(topic);
        CHECK(consumer.eventfd() >= 0 && consumer.lag() == 102);
        std::size_t count = 0;
        while (const auto batch = consumer.wait(1 << 20, thalweg::milliseconds(0))) count += batch->size();
        CHECK(count == 102 && !consumer.poll());
        consumer.commit();
        CHECK(consumer.positions().size() == 3 && consumer.positions()[0].committed == 100);
        consumer.seek(topic, 0, thalweg::start::offset(99));
        CHECK(consumer.wait()->size() == 1);
        consumer.seek_all(thalweg::start::latest());
        std::thread waker([&] { consumer.wakeup(); });
        CHECK(!consumer.wait());
        waker.join();
        consumer.commit({thalweg::position(topic, 0, 50).with_metadata("half")});
        consumer.unsubscribe(topic);
        CHECK(thrown([&] { engine.reset_position("billing", topic, thalweg::start::earliest()); }) ==
              THALWEG_ALREADY_OPEN);
    }
    // Named positions, of which no consumer is open.
    CHECK(engine.positions().size() == 3 && engine.positions("billing").size() == 3 && engine.positions("x").empty());
    const auto named = engine.positions("billing")[0];
    CHECK(named.offset == 50 && named.lag == 50 && named.metadata_size == 4);
    CHECK(std::string_view(named.consumer) == "billing" && std::string_view(named.topic) == "orders");
    CHECK(engine.position_metadata("billing", "orders", 0) == "half");
    CHECK(!engine.position_metadata("nobody", "orders", 0));
    engine.reset_position("audit", topic, thalweg::start::latest());
    CHECK(engine.positions("audit").size() == 3 && engine.positions("audit")[0].lag == 0);
    engine.reset_position("audit", topic, thalweg::start::offset(7), 0);
    CHECK(engine.positions("audit")[0].offset == 7 && engine.positions("audit")[1].lag == 0);
    engine.delete_positions("audit", topic);
    CHECK(engine.positions("audit").empty());
    CHECK(thrown([&] { engine.delete_positions("audit"); }) == THALWEG_NOT_FOUND);
    auto consumer = engine.consumer(thalweg::consumer_options("billing"));
    consumer.assign(topic, 0);
    CHECK((*consumer.wait(1))[0].offset() == 50);
}

static void the_rest(thalweg::engine &engine) {
    auto topic = engine.open_topic("orders");
    auto values = engine.key_values(topic);
    CHECK(!values.get_value("vote"));
    values.put("vote", "node-2");
    values.write({thalweg::key_value_write::put("term", "7"), thalweg::key_value_write::put("x", "y"),
                  thalweg::key_value_write::erase("x")});
    CHECK(*values.get_value("vote") == "node-2" && *values.get_value("term") == "7" && values.list().size() == 2);
    values.erase("vote");
    CHECK(!values.get_value("vote") && (*values.list("t").begin()).value() == "7");
    auto events = engine.events();
    CHECK(events.poll() && events.eventfd() >= 0 && events.dropped() == 0);
    while (events.poll()) continue;
    CHECK(engine.info().shards == 1 && engine.metrics().appends > 100);
    CHECK(engine.info_text().find("runtime: ") != std::string::npos && engine.info_text().back() != 0);
    CHECK(engine.metrics_json().front() == '{' && engine.metrics_json().back() == '}');
    CHECK(engine.metrics_prometheus().find("thalweg_") != std::string::npos);
    CHECK(engine.repair_positions().lost == 0 && engine.repair_key_values().lost == 0);
    const auto [report, damaged] = engine.verify();
    CHECK(report.records > 100 && damaged.empty());
    engine.delete_topic("orders");
    CHECK(thrown([&] { topic.describe(); }) == THALWEG_DELETED);
}

// To C, no topic may mean all of them, and no queue that nobody wants to know.
static void without_handles(thalweg::engine &engine) {
    auto topic = engine.create_topic("moved"), gone = engine.open_topic("moved");
    thalweg::completion_queue queue, lost;
    const auto kept = std::move(gone);
    const auto taken = std::move(lost);
    auto consumer = engine.consumer("mover");
    consumer.subscribe(topic);
    topic.append("a");
    consumer.commit({thalweg::position(topic, 0, 1)});
    const std::vector<thalweg::bytes> parts = {"b"};
    const auto refuses = [](auto call) { return thrown(call) == THALWEG_INVALID_ARGUMENT; };
    CHECK(refuses([&] { topic.submit("b", lost, 1); }) && refuses([&] { topic.submit({"b", "c"}, lost, 1); }));
    CHECK(refuses([&] { topic.submit_parts(thalweg::record(), parts, lost, 1); }) && topic.next_offset(0) == 1);
    CHECK(refuses([&] { gone.submit("b", queue, 1); }) && refuses([&] { gone.append("b"); }));
    CHECK(refuses([&] { consumer.subscribe(gone); }) && refuses([&] { consumer.unsubscribe(gone); }));
    CHECK(refuses([&] { consumer.assign(gone, 0); }) && refuses([&] { consumer.seek(gone, 0, {}); }));
    CHECK(refuses([&] { consumer.commit({thalweg::position(gone, 0, 1)}); }));
    CHECK(refuses([&] { engine.key_values(gone); }));
    thalweg::consumer(std::move(consumer));
    CHECK(refuses([&] { engine.delete_positions("mover", gone); }) && engine.positions("mover").size() == 1);
    CHECK(refuses([&] { engine.reset_position("mover", gone, thalweg::start::earliest()); }));
    CHECK(refuses([&] { consumer.poll(); }) && refuses([&] { lost.under_way(); }));
    thalweg::batch none;
    CHECK(none.topic()[0] == 0 && none.begin() == none.end() && refuses([&] { none.append_time(0); }));
    // Who does not want to know says so.
    CHECK(topic.submit("b") && topic.submit({"c", "d"}, 0) && topic.submit_parts(thalweg::record(), parts, 0));
    CHECK(topic.next_offset(0) == 5 && queue.under_way() == 0);
    engine.delete_topic("moved");
}

// Names and bytes are taken in whatever one has them.
static void spellings(thalweg::engine &engine) {
    using namespace std::string_literals;
    using namespace std::string_view_literals;
    const std::string text = "said";
    const std::string_view view = text;
    const char *pointer = text.c_str();
    CHECK(thrown([&] { engine.open_topic("said"); }) == THALWEG_NOT_FOUND);
    auto topic = engine.open_or_create_topic("said", thalweg::topic_options().with_partitions(2));
    CHECK(engine.open_or_create_topic(text).describe().id == topic.describe().id);
    CHECK(engine.open_or_create_topic(view).describe().partitions == 2);
    CHECK(engine.open_topic(view).describe().id == engine.open_topic(pointer).describe().id);
    CHECK(thrown([&] { engine.create_topic(view); }) == THALWEG_ALREADY_EXISTS);
    // A name that C would see only the beginning of.
    CHECK(thrown([&] { engine.open_topic("said\0more"sv); }) == THALWEG_INVALID_ARGUMENT);
    CHECK(thrown([&] { engine.consumer("said\0more"s); }) == THALWEG_INVALID_ARGUMENT);

    topic.append("literal", 0);
    topic.append(text, 0);
    topic.append(view, 0);
    topic.append(pointer, 0);
    topic.append("with\0zero"sv, 0);
    topic.append({"one", text, view, thalweg::record("last").with_key(text)}, 0);
    topic.append_parts(thalweg::record(), {"a", text, view, pointer, "\0"sv}, 0);
    topic.append_parts(thalweg::record().with_key(view), std::vector<thalweg::bytes>{text, view}, 0);
    topic.append(thalweg::record().with_key("gone"), 0, thalweg::append_options().with_term(3));
    topic.append(thalweg::record().with_value(text), 0);
    CHECK(topic.append_for(std::chrono::seconds(60), "timed", 0).has_value());
    CHECK(topic.append_for(std::chrono::minutes(1), {"timed", "twice"}, 0)->count == 2);
    const std::vector<thalweg::header> headers = {{text, view}, thalweg::header("name"), thalweg::header(pointer)};
    topic.append(thalweg::record("headed").with_headers(headers), 0);
    thalweg::completion_queue queue;
    CHECK(topic.submit("x", queue, 1, 0) && topic.submit(text, queue, 2, 0) && topic.submit({"y", view}, queue, 3, 0));
    thalweg_completion done[3];
    for (std::size_t count = 0; count < 3;) {
        const std::size_t taken = queue.wait(done, 3, std::chrono::minutes(1));
        for (std::size_t nth = 0; nth < taken; nth++) CHECK(done[nth].status == THALWEG_OK);
        count += taken;
    }
    const std::vector<std::string> expected = {
        "literal", "said", "said", "said", "with\0zero"s, "one", "said", "said", "last", "asaidsaidsaid\0"s, "saidsaid",
        "", "said", "timed", "timed", "twice", "headed", "x", "said", "y", "said"};
    std::vector<std::string> values;
    auto reader = topic.reader(0);
    while (const auto batch = reader.next(1 << 20, std::chrono::microseconds(0)))
        for (const auto record : *batch) values.emplace_back(record.value());
    CHECK(values == expected);
    const auto partition = topic.partition_of("said");
    CHECK(topic.partition_of(text) == partition && topic.partition_of(view) == partition);

    auto map = engine.key_values(topic);
    map.put(text, "1");
    map.put("k", view);
    map.write({thalweg::key_value_write::put(view, text), thalweg::key_value_write::erase("k"s)});
    CHECK(map.get_value(pointer) == text && !map.get_value("k"sv) && map.list(text).size() == 1);

    for (const auto &options : {thalweg::consumer_options(text), thalweg::consumer_options(view),
                                thalweg::consumer_options(pointer), thalweg::consumer_options().with_name("said"s)}) {
        CHECK(options.name != pointer);
        auto consumer = engine.consumer(options);
        consumer.subscribe(topic);
        consumer.commit({thalweg::position(topic, 0, 1).with_metadata(text), thalweg::position(topic, 1, 0)});
    }
    { auto consumer = engine.consumer(text); }
    { auto consumer = engine.consumer(view); }
    CHECK(engine.position_metadata(text, view, 0) == text && engine.position_metadata("said", pointer, 1) == "");
    CHECK(engine.positions(view).size() == 2 && engine.positions(text).size() == 2);
    engine.reset_position("else"s, topic, thalweg::start::latest());
    engine.delete_positions("else"sv);
    engine.delete_positions(view, topic);
    engine.delete_topic(view);
}

// Each setter sets what its name says, and nothing else.
static void setters(const std::filesystem::path &place) {
    const auto options = thalweg::engine_options()
                             .with_runtime(THALWEG_RUNTIME_POSIX)
                             .with_durability(THALWEG_LOSE_ON_KILL)
                             .with_memory_budget(80 << 20)
                             .with_segment_size(1 << 20)
                             .with_shards(2)
                             .with_open_files(32)
                             .with_lock_timeout(std::chrono::seconds(1));
    CHECK(options.lock_timeout_ms == 1000 && options.segment_size == 1 << 20 && options.flags == 0);
    CHECK(thalweg::engine_options().with_lock_timeout(thalweg::milliseconds(0)).lock_timeout_ms == -1);
    const auto lock_timeout = [](auto limit) { return thalweg::engine_options().with_lock_timeout(limit).lock_timeout_ms; };
    CHECK(lock_timeout(std::chrono::microseconds(1500)) == 2 && lock_timeout(std::chrono::duration<double>(0.5)) == 500);
    CHECK(lock_timeout(std::chrono::nanoseconds(1)) == 1 && lock_timeout(std::chrono::hours::min()) == -1);
    const auto without_end = thalweg::engine_options().with_lock_timeout(std::chrono::hours::max());
    CHECK(thrown([&] { thalweg::engine(place / "patient", without_end); }) == THALWEG_INVALID_ARGUMENT);
    const auto flags = [](const thalweg::engine_options &made) { return made.flags; };
    CHECK(flags(thalweg::engine_options().with_pinned_cores()) == THALWEG_ENGINE_PIN_CORES);
    CHECK(flags(thalweg::engine_options().with_trusted_shared_directory()) == THALWEG_ENGINE_TRUST_SHARED_DIRECTORY);
    CHECK(flags(thalweg::engine_options().with_given_up_journal()) == THALWEG_ENGINE_GIVE_UP_JOURNAL);
    CHECK(thrown([&] { thalweg::engine(place, thalweg::engine_options().with_no_create()); }) == THALWEG_NOT_FOUND);
    {
        thalweg::engine engine(place.string(), options);
        const auto info = engine.info();
        CHECK(info.runtime == THALWEG_RUNTIME_POSIX && info.memory_budget == 80 << 20 && info.shards == 2);
        CHECK(info.open_files == 32);
        CHECK(engine.create_topic("weak").describe().durability == THALWEG_LOSE_ON_KILL);
        const auto strong = thalweg::topic_options(1).with_partitions(3).with_durability(THALWEG_DURABLE);
        auto topic = engine.create_topic("strong", strong);
        CHECK(topic.describe().durability == THALWEG_DURABLE && topic.describe().partitions == 3);

        const std::chrono::system_clock::time_point moment(std::chrono::microseconds(7'500));
        topic.append(thalweg::record("early").with_timestamp(1), 0);
        topic.append(thalweg::record("at").with_timestamp(moment), 0,
                     thalweg::append_options().with_durability(THALWEG_LOSE_ON_POWER_CUT));
        CHECK((*topic.reader(0, thalweg::start::time(moment)).next())[0].timestamp() == 7);
        CHECK((*topic.reader(0, thalweg::start::append_time(moment)).next())[0].value() == "early");
        auto named = thalweg::consumer_options("said");
        named = thalweg::consumer_options("kept").with_start(thalweg::start::time(moment));
        const auto copy = named;
        named.with_name("other");
        CHECK(std::string_view(copy.name) == "kept" && std::string_view(named.name) == "other");
        CHECK(copy.start == THALWEG_START_TIME && copy.start_time == 7);
        auto consumer = engine.consumer(copy);
        consumer.subscribe(topic);
        CHECK((*consumer.wait(1 << 20, std::chrono::minutes(1)))[0].value() == "at");
        // Out of range: where the options say.
        auto again = engine.consumer(thalweg::consumer_options().with_out_of_range(THALWEG_OUT_OF_RANGE_EARLIEST));
        again.assign(topic, 0, thalweg::start::offset(0));
        topic.truncate_before(0, 1);
        CHECK((*again.wait())[0].value() == "at");
        const auto timed = thalweg::consumer_options().with_out_of_range_time(moment);
        CHECK(timed.out_of_range == THALWEG_OUT_OF_RANGE_TIME && timed.out_of_range_time == 7);
        engine.close();
    }
    thalweg::engine engine(std::string_view(place.native()), small().with_read_only());
    CHECK(engine.info().read_only == 1);
    CHECK(engine.open_or_create_topic("strong").describe().partitions == 3);
    CHECK(thrown([&] { engine.open_or_create_topic("none"); }) == THALWEG_READ_ONLY);
}

// Any duration is a time-out, and none is cut to no time.
static void durations() {
    using namespace std::chrono;
    CHECK(thalweg::timeout(microseconds(1)).ms() == 1 && thalweg::timeout(seconds(2)).ms() == 2000);
    CHECK(thalweg::timeout(duration<double>(0.0015)).ms() == 2 && thalweg::timeout(nanoseconds(0)).ms() == 0);
    CHECK(thalweg::timeout(milliseconds(-5)).ms() == 0 && thalweg::timeout(std::nullopt).ms() == -1);
    CHECK(thalweg::timeout(hours::max()).ms() == -1 && thalweg::timeout(milliseconds::min()).ms() == 0);
    // Less than ms can count.
    CHECK(thalweg::timeout(hours::min()).ms() == 0 && thalweg::timeout(seconds::min()).ms() == 0);
    CHECK(thalweg::timeout(duration<double>(-1e300)).ms() == 0 && thalweg::timeout(duration<double>(1e300)).ms() == -1);
    CHECK(thalweg::timeout(duration<unsigned>(1)).ms() == 1000);
    thalweg::completion_queue queue;
    thalweg_completion done;
    CHECK(queue.wait(&done, 1, nanoseconds(1)) == 0);
}

static void names() {
    CHECK(std::string_view(thalweg::status_name(THALWEG_CORRUPT)) == "CORRUPT");
    CHECK(std::string_view(thalweg::status_text(THALWEG_CLOSED)) == "it is closed");
    CHECK(thalweg::version_number() == THALWEG_VERSION_MAJOR * 1000000 + THALWEG_VERSION_MINOR * 1000 +
                                           THALWEG_VERSION_PATCH);
    CHECK(std::string_view(thalweg::build_info()).find(thalweg::version()) != std::string_view::npos);
    // Kafka's own example.
    CHECK(thalweg::murmur2("21") == -973932308);
}

int main() {
    names();
    durations();
    char place[] = "/tmp/thalweg-cpp-XXXXXX";
    CHECK(mkdtemp(place) != nullptr);
    {
        thalweg::engine engine(place, small());
        CHECK(thrown([&] { thalweg::engine second(place, small()); }) == THALWEG_ALREADY_OPEN);
        appends_and_reads(engine);
        time_outs(engine);
        parts_and_copies(engine);
        completions(engine);
        consumers(engine);
        the_rest(engine);
        without_handles(engine);
        spellings(engine);
        auto topic = engine.create_topic("late");
        engine.close();
        CHECK(!engine && thrown([&] { topic.append(thalweg::record("x")); }) == THALWEG_CLOSED);
    }
    // Whoever does not close is closed.
    { thalweg::engine engine(place, small()); }
    thalweg::engine(place, small()).close();
    failures(std::filesystem::path(place) / "failing");
    setters(std::filesystem::path(place) / "set");
    std::filesystem::remove_all(place);
    std::puts("1 passed, 0 failed, 0 skipped");
}
