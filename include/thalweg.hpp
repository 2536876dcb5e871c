// Thalweg for C++17: thalweg.h with objects that close what they own, views instead of pointers, and exceptions.
//
// - Every class owns one handle: it can be moved, not copied, and closes in its destructor. What that would report is
//   lost; engine::close() tells it. get() is the handle for calls of thalweg.h that have no method here.
// - A call that fails throws thalweg::error, but for what is no failure: no room, nothing there, nothing came in time.
//   Those answer false or an empty std::optional. An append that was made and is not acknowledged in time throws
//   thalweg::timed_out: it may still become durable, and a second try may append the same again.
// - An object without a handle, as after a move, is THALWEG_INVALID_ARGUMENT to each of its calls that needs one, and to
//   each call that it is given to.
// - Bytes are std::string_view, which may hold zeros. Those that come from a batch are readable as long as it lives:
//   give it a name. In for (auto record : *topic.read(0, 0)) it is gone before the first record is looked at. In a
//   forked child its memory is not there: copy before the fork what the child is to have.
// - Bytes that go in are anything that std::string_view can be made of, and names anything that std::string can, literals
//   and std::filesystem::path among them. A name with a zero byte is THALWEG_INVALID_ARGUMENT.
// - Options are set one after the other: engine_options().with_shards(2).with_memory_budget(64 << 20).
// - A timeout is any std::chrono::duration, rounded up to ms. None (std::nullopt) is to wait without end; one that is
//   over, or negative, is not to wait.
//
// Threads and blocking are as thalweg.h says of the calls with the same names.
#ifndef THALWEG_HPP
#define THALWEG_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <iterator>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <vector>

#include "thalweg.h"

namespace thalweg {

using milliseconds = std::chrono::milliseconds;
// Times of records are in ms since 1970, or points of this clock.
template <typename Duration> using time_point = std::chrono::time_point<std::chrono::system_clock, Duration>;

namespace detail {

template <typename Duration> std::int64_t ms_since_1970(time_point<Duration> at) {
    return std::chrono::floor<milliseconds>(at).time_since_epoch().count();
}

} // namespace detail

// How long a call may wait.
class timeout {
public:
    // Without end.
    constexpr timeout(std::nullopt_t) noexcept {}
    template <typename Rep, typename Period>
    constexpr timeout(std::chrono::duration<Rep, Period> limit)
        // Less than nothing may be less than ms can count. More than the clock of C can count is without end.
        : ms_(!(limit > limit.zero()) ? 0
              : std::chrono::duration<double>(limit) < std::chrono::duration<double>(longest)
                  ? static_cast<std::int64_t>(std::chrono::ceil<milliseconds>(limit).count())
                  : -1) {}

    // For C, where a negative time is without end. What is left until a moment that has passed is no time.
    constexpr std::int64_t ms() const noexcept { return ms_; }
    constexpr bool waits() const noexcept { return ms_ != 0; }
    constexpr bool ends() const noexcept { return ms_ >= 0; }

private:
    // A thousand years.
    static constexpr std::chrono::hours longest{24 * 365 * 1000};
    std::int64_t ms_ = -1;
};

// What a call threw.
class error : public std::runtime_error {
public:
    explicit error(const thalweg_error &from)
        : std::runtime_error(from.message), status_(from.status), os_error_(from.os_error), topic_(from.topic),
          partition_(from.partition), start_(from.start), end_(from.end) {}

    // THALWEG_CORRUPT and its like, to decide on.
    thalweg_status status() const noexcept { return status_; }
    // errno, or 0.
    int os_error() const noexcept { return os_error_; }
    // The topic that it concerns, or empty; with it the partition, or THALWEG_NO_PARTITION; the offsets start() to end()
    // of that if they are damaged or cannot be read, else equal.
    const std::string &topic() const noexcept { return topic_; }
    std::uint32_t partition() const noexcept { return partition_; }
    std::uint64_t start() const noexcept { return start_; }
    std::uint64_t end() const noexcept { return end_; }

private:
    thalweg_status status_;
    int os_error_;
    std::string topic_;
    std::uint32_t partition_;
    std::uint64_t start_, end_;
};

// The time given to an append is over: it was made, and is not acknowledged yet. It may still become durable.
class timed_out : public error {
public:
    using error::error;
};

// A view of items that lie in a row and are somebody else's: of a vector, an array, a list in braces.
template <typename Item> class span {
    template <typename List> using item_of = std::remove_pointer_t<decltype(std::data(std::declval<const List &>()))>;

public:
    constexpr span() noexcept = default;
    constexpr span(const Item *data, std::size_t size) noexcept : data_(data), size_(size) {}
    template <typename List, typename = std::enable_if_t<std::is_convertible_v<item_of<List> (*)[], const Item (*)[]>>>
    constexpr span(const List &list) noexcept : data_(std::data(list)), size_(std::size(list)) {}
    // The list lives until the call returns that it was written for.
    constexpr span(std::initializer_list<Item> list) noexcept {
        data_ = list.begin();
        size_ = list.size();
    }

    constexpr const Item *data() const noexcept { return data_; }
    constexpr std::size_t size() const noexcept { return size_; }
    constexpr bool empty() const noexcept { return size_ == 0; }
    constexpr const Item *begin() const noexcept { return data_; }
    constexpr const Item *end() const noexcept { return data_ + size_; }
    constexpr const Item &operator[](std::size_t index) const noexcept { return data_[index]; }

private:
    const Item *data_ = nullptr;
    std::size_t size_ = 0;
};

// Bytes, for the structs of C. They are somebody else's.
struct bytes : thalweg_bytes {
    // An empty view may have no memory, and is still not absent.
    bytes(std::string_view view) noexcept : thalweg_bytes{view.data() == nullptr ? "" : view.data(), view.size()} {}
    template <typename Text, typename = std::enable_if_t<std::is_convertible_v<const Text &, std::string_view>>>
    bytes(const Text &text) noexcept : bytes(std::string_view(text)) {}
    // None, which is not the same as empty ones.
    bytes(std::nullopt_t) noexcept : thalweg_bytes{nullptr, 0} {}
};

inline const char *status_name(thalweg_status status) noexcept { return thalweg_status_name(status); }
inline const char *status_text(thalweg_status status) noexcept { return thalweg_status_text(status); }
// Of the library that is loaded.
inline const char *version() noexcept { return thalweg_version(); }
inline std::uint32_t version_number() noexcept { return thalweg_version_number(); }
inline const char *build_info() noexcept { return thalweg_build_info(); }
inline std::int32_t murmur2(std::string_view key) noexcept { return thalweg_murmur2(key.data(), key.size()); }

namespace detail {

// The error of one call.
struct failure {
    thalweg_error raw;
    failure() noexcept { thalweg_error_init(&raw, sizeof raw); }
    operator thalweg_error *() noexcept { return &raw; }
    // Throws unless the call was done, or answered one of these.
    template <typename... Harmless> bool check(thalweg_status status, Harmless... harmless) const {
        if (status == THALWEG_OK) return true;
        const thalweg_status expected[] = {THALWEG_OK, harmless...};
        for (const thalweg_status one : expected)
            if (status == one) return false;
        if (status == THALWEG_TIMED_OUT) throw timed_out(raw);
        throw error(raw);
    }
    // As check, for a call that waits for something to come. With some time to wait, WOULD_BLOCK is no want of it, but
    // another thread in a call of the same handle.
    bool check_wait(thalweg_status status, const timeout &limit) const {
        if (!limit.waits()) return check(status, THALWEG_TIMED_OUT, THALWEG_WOULD_BLOCK);
        return check(status, THALWEG_TIMED_OUT);
    }
};

inline error invalid_argument(std::string_view why) {
    failure failure;
    failure.raw.status = THALWEG_INVALID_ARGUMENT;
    failure.raw.partition = THALWEG_NO_PARTITION;
    why.copy(failure.raw.message, sizeof failure.raw.message - 1);
    return error(failure.raw);
}

// The handle of an object that is given to a call: to C, none may mean something else.
template <typename Handle> auto needed(const Handle &given) {
    if (given) return given.get();
    throw invalid_argument("an argument is an object without a handle, moved from, closed or released");
}

template <typename Raw, thalweg_status (*Close)(Raw *, thalweg_error *)> class handle {
public:
    handle() noexcept = default;
    explicit handle(Raw *raw) noexcept : raw_(raw) {}
    handle(handle &&other) noexcept : raw_(std::exchange(other.raw_, nullptr)) {}
    handle &operator=(handle &&other) noexcept {
        if (this != &other) {
            Close(raw_, nullptr);
            raw_ = std::exchange(other.raw_, nullptr);
        }
        return *this;
    }
    ~handle() { Close(raw_, nullptr); }

    // For calls of thalweg.h. nullptr if it was moved away.
    Raw *get() const noexcept { return raw_; }
    // Gives the handle away: to be closed by whoever has it.
    Raw *release() noexcept { return std::exchange(raw_, nullptr); }
    explicit operator bool() const noexcept { return raw_ != nullptr; }

protected:
    Raw *raw_ = nullptr;
};

inline std::string_view view(const thalweg_bytes &bytes) noexcept {
    return {static_cast<const char *>(bytes.data), bytes.size};
}

// A name for C, which ends with a zero byte and has none inside.
class name {
public:
    template <typename Text, typename = std::enable_if_t<std::is_constructible_v<std::string, const Text &>>>
    name(const Text &text) : text_(text) {
        if (text_.find('\0') == std::string::npos) return;
        throw invalid_argument("a name has a zero byte inside");
    }
    const char *c_str() const noexcept { return text_.c_str(); }

private:
    std::string text_;
};

template <typename Item, typename Call> std::vector<Item> list(Call call) {
    std::vector<Item> items;
    std::size_t count = 0;
    do {
        items.resize(count);
        call(items.data(), items.size(), &count);
    } while (count > items.size());
    items.resize(count);
    return items;
}

template <typename Call> std::string text(Call call) {
    std::string text;
    std::size_t size = 0;
    do {
        text.resize(size + 1);
        call(text.data(), text.size(), &size);
    } while (size >= text.size());
    text.resize(size);
    return text;
}

// Bytes of a call that may not find them.
template <typename Call> std::optional<std::string> content(Call call) {
    std::string content;
    std::size_t size = 0;
    do {
        failure failure;
        content.resize(size);
        const thalweg_status status = call(content.data(), content.size(), &size, failure);
        if (!failure.check(status, THALWEG_NOT_FOUND)) return std::nullopt;
    } while (size > content.size());
    content.resize(size);
    return content;
}

} // namespace detail

// Where reading begins.
struct start {
    std::uint32_t kind = THALWEG_START_EARLIEST;
    std::uint64_t value = 0;

    static start earliest() noexcept { return {THALWEG_START_EARLIEST, 0}; }
    static start latest() noexcept { return {THALWEG_START_LATEST, 0}; }
    static start offset(std::uint64_t offset) noexcept { return {THALWEG_START_OFFSET, offset}; }
    static start time(std::int64_t ms) noexcept { return {THALWEG_START_TIME, static_cast<std::uint64_t>(ms)}; }
    template <typename Duration> static start time(time_point<Duration> at) { return time(detail::ms_since_1970(at)); }
    static start append_time(std::int64_t ms) noexcept {
        return {THALWEG_START_APPEND_TIME, static_cast<std::uint64_t>(ms)};
    }
    template <typename Duration> static start append_time(time_point<Duration> at) {
        return append_time(detail::ms_since_1970(at));
    }
    // Consumers only.
    static start committed() noexcept { return {THALWEG_START_COMMITTED, 0}; }
};

// A header of a record. Its bytes are somebody else's.
struct header : thalweg_header {
    header(std::string_view its_name, std::string_view its_value) noexcept
        : thalweg_header{bytes(its_name), bytes(its_value)} {}
    explicit header(std::string_view its_name) noexcept : thalweg_header{bytes(its_name), bytes(std::nullopt)} {}
};

// A record to append. Its bytes are somebody else's, and have to be there until the call returns.
struct record : thalweg_record {
    record() noexcept : thalweg_record{} {}
    template <typename Text, typename = std::enable_if_t<std::is_convertible_v<const Text &, std::string_view>>>
    record(const Text &content) noexcept : thalweg_record{} {
        value = bytes(content);
    }
    record &with_key(std::string_view content) noexcept {
        key = bytes(content);
        return *this;
    }
    record &with_value(std::string_view content) noexcept {
        value = bytes(content);
        return *this;
    }
    record &with_timestamp(std::int64_t ms) noexcept {
        timestamp = ms;
        flags |= THALWEG_RECORD_TIMESTAMP;
        return *this;
    }
    template <typename Duration> record &with_timestamp(time_point<Duration> at) {
        return with_timestamp(detail::ms_since_1970(at));
    }
    record &with_headers(span<header> list) noexcept {
        headers = list.data();
        header_count = list.size();
        return *this;
    }
};
static_assert(sizeof(record) == sizeof(thalweg_record) && sizeof(header) == sizeof(thalweg_header) &&
                  sizeof(bytes) == sizeof(thalweg_bytes),
              "arrays of them are arrays of the structs of C");

struct append_options : thalweg_append_options {
    append_options() noexcept { thalweg_append_options_init(this, sizeof(thalweg_append_options)); }
    append_options &with_expected_offset(std::uint64_t offset) noexcept {
        expected_offset = offset;
        flags |= THALWEG_APPEND_EXPECTED_OFFSET;
        return *this;
    }
    append_options &with_term(std::uint64_t number) noexcept {
        term = number;
        flags |= THALWEG_APPEND_TERM;
        return *this;
    }
    // A submit that answers that there is no room is told in its queue, under its token, when to try again.
    append_options &with_notify() noexcept {
        flags |= THALWEG_APPEND_NOTIFY;
        return *this;
    }
    append_options &with_durability(std::uint32_t mode) noexcept {
        durability = mode;
        return *this;
    }
};

// Options of an append, or none.
class append_with {
public:
    append_with() noexcept = default;
    append_with(const thalweg_append_options &options) noexcept : options_(&options) {}
    const thalweg_append_options *get() const noexcept { return options_; }

private:
    const thalweg_append_options *options_ = nullptr;
};

// What is not set is as by default; what each means stands with the fields of thalweg_engine_options.
struct engine_options : thalweg_engine_options {
    engine_options() noexcept { thalweg_engine_options_init(this, sizeof(thalweg_engine_options)); }
    // THALWEG_RUNTIME_URING and its like.
    engine_options &with_runtime(std::uint32_t which) noexcept {
        runtime = which;
        return *this;
    }
    // THALWEG_DURABLE and its like: of topics that are created without one.
    engine_options &with_durability(std::uint32_t mode) noexcept {
        durability = mode;
        return *this;
    }
    engine_options &with_memory_budget(std::uint64_t bytes) noexcept {
        memory_budget = bytes;
        return *this;
    }
    engine_options &with_segment_size(std::uint64_t bytes) noexcept {
        segment_size = bytes;
        return *this;
    }
    engine_options &with_shards(std::uint32_t count) noexcept {
        shards = count;
        return *this;
    }
    engine_options &with_open_files(std::uint32_t most) noexcept {
        open_files = most;
        return *this;
    }
    // At most an hour. No time, or less: another owner is not waited for.
    template <typename Rep, typename Period>
    engine_options &with_lock_timeout(std::chrono::duration<Rep, Period> limit) {
        const timeout wait(limit);
        // What has no end is refused as what is too long.
        lock_timeout_ms = !wait.ends() ? INT64_MAX : wait.waits() ? wait.ms() : -1;
        return *this;
    }
    engine_options &with_no_create() noexcept { return with_flag(THALWEG_ENGINE_NO_CREATE); }
    engine_options &with_read_only() noexcept { return with_flag(THALWEG_ENGINE_READ_ONLY); }
    engine_options &with_pinned_cores() noexcept { return with_flag(THALWEG_ENGINE_PIN_CORES); }
    engine_options &with_trusted_shared_directory() noexcept {
        return with_flag(THALWEG_ENGINE_TRUST_SHARED_DIRECTORY);
    }
    engine_options &with_given_up_journal() noexcept { return with_flag(THALWEG_ENGINE_GIVE_UP_JOURNAL); }

private:
    engine_options &with_flag(std::uint32_t flag) noexcept {
        flags |= flag;
        return *this;
    }
};

struct topic_options : thalweg_topic_options {
    topic_options() noexcept { thalweg_topic_options_init(this, sizeof(thalweg_topic_options)); }
    // 0 is the default: 1 partition.
    explicit topic_options(std::uint32_t count) noexcept : topic_options() { partitions = count; }
    topic_options &with_partitions(std::uint32_t count) noexcept {
        partitions = count;
        return *this;
    }
    // THALWEG_DURABLE and its like.
    topic_options &with_durability(std::uint32_t mode) noexcept {
        durability = mode;
        return *this;
    }
};

// It keeps the name.
struct consumer_options : thalweg_consumer_options {
    consumer_options() noexcept { thalweg_consumer_options_init(this, sizeof(thalweg_consumer_options)); }
    explicit consumer_options(detail::name named) : consumer_options() { with_name(std::move(named)); }
    consumer_options(const consumer_options &other) : thalweg_consumer_options(other), named_(other.named_) { own(); }
    consumer_options &operator=(const consumer_options &other) {
        thalweg_consumer_options::operator=(other);
        named_ = other.named_;
        own();
        return *this;
    }
    ~consumer_options() = default;

    consumer_options &with_name(detail::name named) {
        named_ = std::move(named);
        own();
        return *this;
    }
    // Where partitions begin of which the name has no position: earliest, latest or a time.
    consumer_options &with_start(thalweg::start from) noexcept {
        start = from.kind;
        start_time = static_cast<std::int64_t>(from.value);
        return *this;
    }
    // THALWEG_OUT_OF_RANGE_EARLIEST and its like.
    consumer_options &with_out_of_range(std::uint32_t what) noexcept {
        out_of_range = what;
        return *this;
    }
    // THALWEG_OUT_OF_RANGE_TIME, in ms since 1970.
    consumer_options &with_out_of_range_time(std::int64_t ms) noexcept {
        out_of_range_time = ms;
        return with_out_of_range(THALWEG_OUT_OF_RANGE_TIME);
    }
    template <typename Duration> consumer_options &with_out_of_range_time(time_point<Duration> at) {
        return with_out_of_range_time(detail::ms_since_1970(at));
    }

private:
    void own() noexcept {
        if (named_) name = named_->c_str();
    }
    std::optional<detail::name> named_;
};

// A header of a record that was read.
struct header_view {
    std::string_view name;
    std::optional<std::string_view> value;
};

// A record that was read. Readable as long as the batch, or the copy, that it is in.
class record_view {
public:
    record_view(const std::uint8_t *data, const thalweg_entry *entry) noexcept : data_(data), entry_(entry) {}

    std::uint64_t offset() const noexcept { return entry_->offset; }
    std::int64_t timestamp() const noexcept { return entry_->timestamp; }
    // The key, and empty if there is none.
    std::string_view key() const noexcept { return part(entry_->key_position, entry_->key_size); }
    std::string_view value() const noexcept { return part(entry_->value_position, entry_->value_size); }
    bool has_key() const noexcept { return (entry_->flags & THALWEG_ENTRY_KEY) != 0; }
    // Without a value, a record with a key is a tombstone.
    bool has_value() const noexcept { return (entry_->flags & THALWEG_ENTRY_VALUE) != 0; }
    std::size_t header_count() const noexcept { return entry_->header_count; }
    std::vector<header_view> headers() const {
        std::vector<header_view> headers;
        std::size_t at = entry_->headers_position;
        for (std::size_t left = entry_->header_count; left > 0; left--) {
            const auto name_size = static_cast<std::uint32_t>(number(at, 2)), value_size = number(at + 2, 4);
            headers.push_back({part(at + 6, name_size), std::nullopt});
            at += 6 + std::size_t{name_size};
            if (value_size == 0xffffffff) continue;
            headers.back().value = part(at, value_size);
            at += value_size;
        }
        return headers;
    }
    const thalweg_entry &entry() const noexcept { return *entry_; }

private:
    std::string_view part(std::size_t position, std::size_t size) const noexcept {
        if (size == 0) return {};
        return {reinterpret_cast<const char *>(data_) + position, size};
    }
    std::uint32_t number(std::size_t position, int size) const noexcept {
        std::uint32_t number = 0;
        while (size-- > 0) number = number << 8 | data_[position + static_cast<std::size_t>(size)];
        return number;
    }
    const std::uint8_t *data_;
    const thalweg_entry *entry_;
};

// Goes through records that were read.
class record_iterator {
public:
    using iterator_category = std::input_iterator_tag;
    using value_type = record_view;
    using difference_type = std::ptrdiff_t;
    using pointer = void;
    using reference = record_view;

    record_iterator(const std::uint8_t *data, const thalweg_entry *entry) noexcept : data_(data), entry_(entry) {}
    record_view operator*() const noexcept { return {data_, entry_}; }
    record_iterator &operator++() noexcept {
        ++entry_;
        return *this;
    }
    record_iterator operator++(int) noexcept {
        record_iterator before = *this;
        ++entry_;
        return before;
    }
    bool operator==(const record_iterator &other) const noexcept { return entry_ == other.entry_; }
    bool operator!=(const record_iterator &other) const noexcept { return entry_ != other.entry_; }

private:
    const std::uint8_t *data_;
    const thalweg_entry *entry_;
};

// Records that were copied: in memory of its own, which is used again by the next copy into it.
class record_copies {
public:
    // Room for so many bytes of keys, values and headers, and so many records.
    explicit record_copies(std::size_t capacity = 1 << 20, std::size_t most = 1 << 14)
        : data_(capacity), entries_(most) {}
    // What was moved from has neither records nor room.
    record_copies(record_copies &&other) noexcept
        : data_(std::exchange(other.data_, {})), entries_(std::exchange(other.entries_, {})),
          count_(std::exchange(other.count_, 0)), next_offset_(other.next_offset_) {}
    record_copies &operator=(record_copies &&other) noexcept {
        if (this != &other) {
            data_ = std::exchange(other.data_, {});
            entries_ = std::exchange(other.entries_, {});
            count_ = std::exchange(other.count_, 0);
            next_offset_ = other.next_offset_;
        }
        return *this;
    }
    record_copies(const record_copies &) = default;
    record_copies &operator=(const record_copies &) = default;

    record_iterator begin() const noexcept { return {data_.data(), entries_.data()}; }
    record_iterator end() const noexcept { return {data_.data(), entries_.data() + count_}; }
    std::size_t size() const noexcept { return count_; }
    bool empty() const noexcept { return count_ == 0; }
    record_view operator[](std::size_t index) const noexcept { return {data_.data(), entries_.data() + index}; }
    // Where to read on.
    std::uint64_t next_offset() const noexcept { return next_offset_; }

private:
    friend class batch;
    friend class topic;
    std::vector<std::uint8_t> data_;
    std::vector<thalweg_entry> entries_;
    std::size_t count_ = 0;
    std::uint64_t next_offset_ = 0;
};

// Records that were read, in memory that is shared with the engine.
class batch : public detail::handle<thalweg_batch, thalweg_batch_release> {
public:
    batch() noexcept : view_{} {}
    // Takes over a handle, with what the read has told of it.
    batch(thalweg_batch *raw, const thalweg_batch_view &view) noexcept : handle(raw), view_(view) {}
    // Takes over a handle.
    explicit batch(thalweg_batch *raw) : handle(raw), view_{} {
        detail::failure failure;
        failure.check(thalweg_batch_get_view(raw, &view_, failure));
    }
    batch(batch &&other) noexcept : handle(std::move(other)), view_(std::exchange(other.view_, {})) {}
    batch &operator=(batch &&other) noexcept {
        handle::operator=(std::move(other));
        if (this != &other) view_ = std::exchange(other.view_, {});
        return *this;
    }

    record_iterator begin() const noexcept { return {view_.data, view_.entries}; }
    record_iterator end() const noexcept { return {view_.data, view_.entries + view_.count}; }
    std::size_t size() const noexcept { return view_.count; }
    bool empty() const noexcept { return view_.count == 0; }
    record_view operator[](std::size_t index) const noexcept { return {view_.data, view_.entries + index}; }
    // Where to read on.
    std::uint64_t next_offset() const noexcept { return view_.next_offset; }
    // Empty if the batch is.
    const char *topic() const noexcept { return view_.topic != nullptr ? view_.topic : ""; }
    std::uint32_t partition() const noexcept { return view_.partition; }
    const thalweg_batch_view &view() const noexcept { return view_; }

    header_view header(std::size_t record, std::size_t index) const {
        detail::failure failure;
        thalweg_header found;
        failure.check(thalweg_batch_header(raw_, record, index, &found, failure));
        header_view header = {detail::view(found.name), std::nullopt};
        if (found.value.data != nullptr) header.value = detail::view(found.value);
        return header;
    }
    std::int64_t append_time(std::size_t record) const {
        detail::failure failure;
        std::int64_t time = 0;
        failure.check(thalweg_batch_append_time(raw_, record, &time, failure));
        return time;
    }
    std::optional<std::uint64_t> term(std::size_t record) const {
        detail::failure failure;
        std::uint64_t term = 0;
        if (!failure.check(thalweg_batch_term(raw_, record, &term, failure), THALWEG_NOT_FOUND)) return std::nullopt;
        return term;
    }
    // Copies records, from the one at `first` on, as many as have room; how many.
    std::size_t copy(std::size_t first, record_copies &into) const {
        detail::failure failure;
        std::size_t count = 0;
        failure.check(thalweg_batch_copy(raw_, first, into.data_.data(), into.data_.size(), into.entries_.data(),
                                         into.entries_.size(), &count, failure));
        into.count_ = count;
        into.next_offset_ = first + count < size() ? (*this)[first + count].offset() : next_offset();
        return count;
    }
    // Another owner of the same memory.
    batch share() const {
        detail::failure failure;
        failure.check(thalweg_batch_retain(raw_, failure));
        return {raw_, view_};
    }

private:
    thalweg_batch_view view_;
};

// Where appends report that they are acknowledged.
class completion_queue : public detail::handle<thalweg_completion_queue, thalweg_completion_queue_close> {
public:
    explicit completion_queue(std::size_t capacity = 0) {
        detail::failure failure;
        failure.check(thalweg_completion_queue_open(capacity, &raw_, failure));
    }
    // Takes what is there; how many. Does not block.
    std::size_t poll(thalweg_completion *into, std::size_t capacity) {
        detail::failure failure;
        std::size_t count = 0;
        failure.check(thalweg_completion_queue_poll(raw_, into, capacity, &count, failure), THALWEG_WOULD_BLOCK);
        return count;
    }
    // Waits for the first; 0: the time is over, or nothing is under way.
    std::size_t wait(thalweg_completion *into, std::size_t capacity, timeout limit = std::nullopt) {
        detail::failure failure;
        std::size_t count = 0;
        failure.check(thalweg_completion_queue_wait(raw_, into, capacity, limit.ms(), &count, failure),
                      THALWEG_TIMED_OUT);
        return count;
    }
    // Why an append failed; empty if it has not, or the failure is not kept any more.
    std::optional<error> failure(const thalweg_completion &completion) const {
        detail::failure failure;
        thalweg_error why;
        thalweg_error_init(&why, sizeof why);
        const thalweg_status status = thalweg_completion_queue_failure(raw_, &completion, &why, failure);
        if (!failure.check(status, THALWEG_NOT_FOUND)) return std::nullopt;
        return error(why);
    }
    int eventfd() const {
        detail::failure failure;
        std::int32_t fd = -1;
        failure.check(thalweg_completion_queue_eventfd(raw_, &fd, failure));
        return fd;
    }
    std::size_t under_way() const {
        detail::failure failure;
        std::size_t count = 0;
        failure.check(thalweg_completion_queue_under_way(raw_, &count, failure));
        return count;
    }
};

// A place in one partition, moving on.
class reader : public detail::handle<thalweg_reader, thalweg_reader_close> {
public:
    explicit reader(thalweg_reader *raw) noexcept : handle(raw) {}
    // Empty: nothing came in time.
    std::optional<batch> next(std::size_t max_bytes = 1 << 20, timeout limit = std::nullopt) {
        detail::failure failure;
        thalweg_batch *raw = nullptr;
        thalweg_batch_view view;
        if (!failure.check_wait(thalweg_reader_next(raw_, max_bytes, limit.ms(), &raw, &view, failure), limit))
            return std::nullopt;
        return batch(raw, view);
    }
    std::uint64_t offset() const {
        detail::failure failure;
        std::uint64_t offset = 0;
        failure.check(thalweg_reader_offset(raw_, &offset, failure));
        return offset;
    }
    void seek(start to) {
        detail::failure failure;
        failure.check(thalweg_reader_seek(raw_, to.kind, to.value, failure));
    }
};

// A topic to append to and to read from.
class topic : public detail::handle<thalweg_topic, thalweg_topic_close> {
public:
    explicit topic(thalweg_topic *raw) noexcept : handle(raw) {}

    // Appends one record, or several as one batch, and returns when they are as durable as the topic or the options ask
    // for. Waits without end. A text is a record with this value: append("a"), or append({"a", "b"}) as one batch.
    thalweg_appended append(const record &what, std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                            append_with options = {}) {
        return *append_within(std::nullopt, what, partition, options);
    }
    thalweg_appended append(span<record> records, std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                            append_with options = {}) {
        return *append_within(std::nullopt, records, partition, options);
    }
    // Braces are a list, also around one record.
    thalweg_appended append(std::initializer_list<record> records,
                            std::uint32_t partition = THALWEG_PARTITION_BY_KEY, append_with options = {}) {
        return append(span<record>(records), partition, options);
    }
    // The value is put together from parts; the record has none.
    thalweg_appended append_parts(const record &what, span<bytes> parts,
                                  std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                  append_with options = {}) {
        return *append_parts_within(std::nullopt, what, parts, partition, options);
    }
    // As these, for so long at most. Empty: there was no room in time, and nothing was appended. Throws timed_out if it
    // was appended, and is not acknowledged yet.
    std::optional<thalweg_appended> append_for(timeout limit, const record &what,
                                               std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                               append_with options = {}) {
        return append_within(limit, what, partition, options);
    }
    std::optional<thalweg_appended> append_for(timeout limit, span<record> records,
                                               std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                               append_with options = {}) {
        return append_within(limit, records, partition, options);
    }
    std::optional<thalweg_appended> append_for(timeout limit, std::initializer_list<record> records,
                                               std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                               append_with options = {}) {
        return append_for(limit, span<record>(records), partition, options);
    }
    std::optional<thalweg_appended> append_parts_for(timeout limit, const record &what, span<bytes> parts,
                                                     std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                                     append_with options = {}) {
        return append_parts_within(limit, what, parts, partition, options);
    }
    // Why a part of append_split failed; empty if it has not, or the failure is not kept any more.
    std::optional<error> failure(const thalweg_record_result &result) const {
        detail::failure failure;
        thalweg_error why;
        thalweg_error_init(&why, sizeof why);
        const thalweg_status status = thalweg_topic_failure(raw_, &result, &why, failure);
        if (!failure.check(status, THALWEG_NOT_FOUND)) return std::nullopt;
        return error(why);
    }
    // Divides records by the partitions of their keys, each part a batch. What became of each: look at its status.
    std::vector<thalweg_record_result> append_split(span<record> records) {
        detail::failure failure;
        std::vector<thalweg_record_result> results(records.size());
        failure.check(thalweg_topic_append_split(raw_, records.data(), records.size(), results.data(), failure));
        return results;
    }
    // Appends to memory; the acknowledgement comes to the queue. Empty: there is no room now, nothing was appended. Does
    // not block.
    std::optional<thalweg_appended> submit(const record &what, completion_queue &queue, std::uint64_t token,
                                           std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                           append_with options = {}) {
        return submit_to(detail::needed(queue), token, what, partition, options);
    }
    std::optional<thalweg_appended> submit(span<record> records, completion_queue &queue, std::uint64_t token,
                                           std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                           append_with options = {}) {
        return submit_to(detail::needed(queue), token, records, partition, options);
    }
    std::optional<thalweg_appended> submit(std::initializer_list<record> records, completion_queue &queue,
                                           std::uint64_t token, std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                           append_with options = {}) {
        return submit(span<record>(records), queue, token, partition, options);
    }
    std::optional<thalweg_appended> submit_parts(const record &what, span<bytes> parts, completion_queue &queue,
                                                 std::uint64_t token,
                                                 std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                                 append_with options = {}) {
        return submit_parts_to(detail::needed(queue), token, what, parts, partition, options);
    }
    // As these, where nobody wants to know when it is acknowledged.
    std::optional<thalweg_appended> submit(const record &what, std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                           append_with options = {}) {
        return submit_to(nullptr, 0, what, partition, options);
    }
    std::optional<thalweg_appended> submit(span<record> records, std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                           append_with options = {}) {
        return submit_to(nullptr, 0, records, partition, options);
    }
    std::optional<thalweg_appended> submit_parts(const record &what, span<bytes> parts,
                                                 std::uint32_t partition = THALWEG_PARTITION_BY_KEY,
                                                 append_with options = {}) {
        return submit_parts_to(nullptr, 0, what, parts, partition, options);
    }
    // Empty: nothing came in time.
    std::optional<batch> read(std::uint32_t partition, std::uint64_t offset, std::size_t max_bytes = 1 << 20,
                              timeout limit = milliseconds(0)) const {
        detail::failure failure;
        thalweg_batch *raw = nullptr;
        thalweg_batch_view view;
        if (!failure.check_wait(
                thalweg_topic_read(raw_, partition, offset, max_bytes, limit.ms(), &raw, &view, failure), limit))
            return std::nullopt;
        return batch(raw, view);
    }
    // As read, but copies. false: nothing came in time.
    bool read_copy(std::uint32_t partition, std::uint64_t offset, record_copies &into,
                   timeout limit = milliseconds(0)) const {
        detail::failure failure;
        std::size_t count = 0;
        std::uint64_t next_offset = 0;
        const thalweg_status status = thalweg_topic_read_copy(
            raw_, partition, offset, limit.ms(), into.data_.data(), into.data_.size(), into.entries_.data(),
            into.entries_.size(), &count, &next_offset, failure);
        if (!failure.check_wait(status, limit)) return false;
        into.count_ = count;
        into.next_offset_ = next_offset;
        return true;
    }
    thalweg::reader reader(std::uint32_t partition, start from = start::earliest()) const {
        detail::failure failure;
        thalweg_reader *raw = nullptr;
        failure.check(thalweg_reader_open(raw_, partition, from.kind, from.value, &raw, failure));
        return thalweg::reader(raw);
    }
    thalweg_topic_info describe() const {
        detail::failure failure;
        thalweg_topic_info info;
        failure.check(thalweg_topic_describe(raw_, &info, failure));
        return info;
    }
    std::vector<thalweg_partition_info> partitions() const {
        return detail::list<thalweg_partition_info>([this](auto *items, std::size_t capacity, std::size_t *count) {
            detail::failure failure;
            failure.check(thalweg_topic_list_partitions(raw_, 0, items, capacity, count, failure));
        });
    }
    // What recovery found damaged in a partition.
    std::vector<thalweg_damaged_range> damaged(std::uint32_t partition) const {
        return detail::list<thalweg_damaged_range>([&](auto *items, std::size_t capacity, std::size_t *count) {
            detail::failure failure;
            failure.check(thalweg_topic_list_damaged(raw_, partition, items, capacity, count, failure));
        });
    }
    // Frames as they stand in the segments.
    std::vector<thalweg_frame> frames(std::uint32_t partition, std::uint64_t from = 0,
                                      std::uint64_t until = UINT64_MAX) const {
        return detail::list<thalweg_frame>([&](auto *items, std::size_t capacity, std::size_t *count) {
            detail::failure failure;
            failure.check(thalweg_topic_list_frames(raw_, partition, from, until, items, capacity, count, failure));
        });
    }
    void add_partitions(std::uint32_t total) {
        detail::failure failure;
        failure.check(thalweg_topic_add_partitions(raw_, total, failure));
    }
    std::uint64_t next_offset(std::uint32_t partition) const {
        detail::failure failure;
        std::uint64_t offset = 0;
        failure.check(thalweg_topic_next_offset(raw_, partition, &offset, failure));
        return offset;
    }
    std::uint32_t partition_of(std::string_view key) const {
        detail::failure failure;
        std::uint32_t partition = 0;
        failure.check(thalweg_topic_partition_of(raw_, key.data(), key.size(), &partition, failure));
        return partition;
    }
    void truncate_before(std::uint32_t partition, std::uint64_t offset) {
        detail::failure failure;
        failure.check(thalweg_topic_truncate_before(raw_, partition, offset, failure));
    }
    void truncate_after(std::uint32_t partition, std::uint64_t offset) {
        detail::failure failure;
        failure.check(thalweg_topic_truncate_after(raw_, partition, offset, failure));
    }

private:
    // Where an append stands; empty if it answers what is no failure of it.
    template <typename Call> static std::optional<thalweg_appended> appended(thalweg_status harmless, Call call) {
        detail::failure failure;
        thalweg_appended appended;
        if (!failure.check(call(&appended, failure), harmless)) return std::nullopt;
        return appended;
    }
    std::optional<thalweg_appended> submit_to(thalweg_completion_queue *queue, std::uint64_t token, const record &what,
                                              std::uint32_t partition, append_with options) {
        return appended(THALWEG_WOULD_BLOCK, [&](thalweg_appended *place, thalweg_error *error) {
            return thalweg_topic_submit(raw_, partition, &what, options.get(), queue, token, place, error);
        });
    }
    std::optional<thalweg_appended> submit_to(thalweg_completion_queue *queue, std::uint64_t token,
                                              span<record> records, std::uint32_t partition, append_with options) {
        return appended(THALWEG_WOULD_BLOCK, [&](thalweg_appended *place, thalweg_error *error) {
            return thalweg_topic_submit_batch(raw_, partition, records.data(), records.size(), options.get(), queue,
                                              token, place, error);
        });
    }
    std::optional<thalweg_appended> submit_parts_to(thalweg_completion_queue *queue, std::uint64_t token,
                                                    const record &what, span<bytes> parts, std::uint32_t partition,
                                                    append_with options) {
        return appended(THALWEG_WOULD_BLOCK, [&](thalweg_appended *place, thalweg_error *error) {
            return thalweg_topic_submit_parts(raw_, partition, &what, parts.data(), parts.size(), options.get(), queue,
                                              token, place, error);
        });
    }
    // Without a limit there is always room in time.
    static thalweg_status harmless(const timeout &limit) noexcept {
        return limit.ends() ? THALWEG_WOULD_BLOCK : THALWEG_OK;
    }

    std::optional<thalweg_appended> append_within(timeout limit, const record &what, std::uint32_t partition,
                                                  append_with options) {
        return appended(harmless(limit), [&](thalweg_appended *place, thalweg_error *error) {
            return thalweg_topic_append(raw_, partition, &what, options.get(), limit.ms(), place, error);
        });
    }
    std::optional<thalweg_appended> append_within(timeout limit, span<record> records, std::uint32_t partition,
                                                  append_with options) {
        return appended(harmless(limit), [&](thalweg_appended *place, thalweg_error *error) {
            return thalweg_topic_append_batch(raw_, partition, records.data(), records.size(), options.get(),
                                              limit.ms(), place, error);
        });
    }
    std::optional<thalweg_appended> append_parts_within(timeout limit, const record &what, span<bytes> parts,
                                                        std::uint32_t partition, append_with options) {
        return appended(harmless(limit), [&](thalweg_appended *place, thalweg_error *error) {
            return thalweg_topic_append_parts(raw_, partition, &what, parts.data(), parts.size(), options.get(),
                                              limit.ms(), place, error);
        });
    }
};

// A position to commit: the offset to go on at, one after the last record that was handled. The topic has to be open,
// and metadata to be there, until the call returns.
struct position : thalweg_position {
    position(const thalweg::topic &of, std::uint32_t its_partition, std::uint64_t its_offset) noexcept
        : thalweg_position{} {
        topic = of.get();
        partition = its_partition;
        offset = its_offset;
    }
    position &with_metadata(std::string_view content) noexcept {
        metadata = bytes(content);
        return *this;
    }
};
static_assert(sizeof(position) == sizeof(thalweg_position), "arrays of them are arrays of the structs of C");

// Many partitions read as one. One thread at a time.
class consumer : public detail::handle<thalweg_consumer, thalweg_consumer_close> {
public:
    explicit consumer(thalweg_consumer *raw) noexcept : handle(raw) {}

    void subscribe(const topic &from) {
        detail::failure failure;
        failure.check(thalweg_consumer_subscribe(raw_, detail::needed(from), failure));
    }
    void unsubscribe(const topic &from) {
        detail::failure failure;
        failure.check(thalweg_consumer_unsubscribe(raw_, detail::needed(from), failure));
    }
    void assign(const topic &from, std::uint32_t partition, start at = start::committed()) {
        detail::failure failure;
        failure.check(thalweg_consumer_assign(raw_, detail::needed(from), partition, at.kind, at.value, failure));
    }
    void seek(const topic &in, std::uint32_t partition, start to) {
        detail::failure failure;
        failure.check(thalweg_consumer_seek(raw_, detail::needed(in), partition, to.kind, to.value, failure));
    }
    void seek_all(start to) {
        detail::failure failure;
        failure.check(thalweg_consumer_seek_all(raw_, to.kind, to.value, failure));
    }
    // Empty: nothing is there now. Does not block.
    std::optional<batch> poll(std::size_t max_bytes = 1 << 20) {
        detail::failure failure;
        thalweg_batch *raw = nullptr;
        thalweg_batch_view view;
        if (!failure.check(thalweg_consumer_poll(raw_, max_bytes, &raw, &view, failure), THALWEG_WOULD_BLOCK))
            return std::nullopt;
        return batch(raw, view);
    }
    // Empty: nothing came in time, or somebody woke it up.
    std::optional<batch> wait(std::size_t max_bytes = 1 << 20, timeout limit = std::nullopt) {
        detail::failure failure;
        thalweg_batch *raw = nullptr;
        thalweg_batch_view view;
        if (!failure.check_wait(thalweg_consumer_wait(raw_, max_bytes, limit.ms(), &raw, &view, failure), limit))
            return std::nullopt;
        return batch(raw, view);
    }
    // From any thread.
    void wakeup() const {
        detail::failure failure;
        failure.check(thalweg_consumer_wakeup(raw_, failure));
    }
    int eventfd() const {
        detail::failure failure;
        std::int32_t fd = -1;
        failure.check(thalweg_consumer_eventfd(raw_, &fd, failure));
        return fd;
    }
    // Everything that was polled is handled. Durable when it returns.
    void commit() {
        detail::failure failure;
        failure.check(thalweg_consumer_commit(raw_, failure));
    }
    // Counts these instead: all or none.
    void commit(span<position> positions) {
        detail::failure failure;
        failure.check(thalweg_consumer_commit_positions(raw_, positions.data(), positions.size(), failure));
    }
    std::vector<thalweg_consumer_position> positions() const {
        return detail::list<thalweg_consumer_position>([this](auto *items, std::size_t capacity, std::size_t *count) {
            detail::failure failure;
            failure.check(thalweg_consumer_positions(raw_, items, capacity, count, failure));
        });
    }
    std::uint64_t lag() const {
        detail::failure failure;
        std::uint64_t lag = 0;
        failure.check(thalweg_consumer_lag(raw_, &lag, failure));
        return lag;
    }
};

// A change of key-values: a key gets a value, or loses it. Its bytes are somebody else's.
struct key_value_write : thalweg_key_value_write {
    static key_value_write put(std::string_view key, std::string_view value) noexcept { return {key, bytes(value)}; }
    static key_value_write erase(std::string_view key) noexcept { return {key, bytes(std::nullopt)}; }

private:
    key_value_write(std::string_view its_key, const bytes &its_value) noexcept
        : thalweg_key_value_write{bytes(its_key), its_value} {}
};
static_assert(sizeof(key_value_write) == sizeof(thalweg_key_value_write),
              "arrays of them are arrays of the structs of C");

// A small durable map beside a topic.
class key_values : public detail::handle<thalweg_key_values, thalweg_key_values_close> {
public:
    explicit key_values(thalweg_key_values *raw) noexcept : handle(raw) {}

    std::optional<std::string> get_value(std::string_view key) const {
        return detail::content([&](char *buffer, std::size_t capacity, std::size_t *size, thalweg_error *error) {
            return thalweg_key_values_get(raw_, key.data(), key.size(), buffer, capacity, size, error);
        });
    }
    void put(std::string_view key, std::string_view value) {
        detail::failure failure;
        failure.check(thalweg_key_values_put(raw_, key.data(), key.size(), value.data(), value.size(), failure));
    }
    void erase(std::string_view key) {
        detail::failure failure;
        failure.check(thalweg_key_values_delete(raw_, key.data(), key.size(), failure));
    }
    // All or none.
    void write(span<key_value_write> writes) {
        detail::failure failure;
        failure.check(thalweg_key_values_write(raw_, writes.data(), writes.size(), failure));
    }
    // Keys and values as records, in the order of the keys.
    batch list(std::string_view prefix = {}) const {
        detail::failure failure;
        thalweg_batch *raw = nullptr;
        thalweg_batch_view view;
        failure.check(thalweg_key_values_list(raw_, prefix.data(), prefix.size(), &raw, &view, failure));
        return {raw, view};
    }
};

// What happens in an engine.
class events : public detail::handle<thalweg_events, thalweg_events_close> {
public:
    explicit events(thalweg_events *raw) noexcept : handle(raw) {}
    // Empty: there is none.
    std::optional<thalweg_event> poll() {
        detail::failure failure;
        thalweg_event event;
        thalweg_event_init(&event, sizeof event);
        if (!failure.check(thalweg_events_poll(raw_, &event, failure), THALWEG_WOULD_BLOCK)) return std::nullopt;
        return event;
    }
    int eventfd() const {
        detail::failure failure;
        std::int32_t fd = -1;
        failure.check(thalweg_events_eventfd(raw_, &fd, failure));
        return fd;
    }
    std::uint64_t dropped() const {
        detail::failure failure;
        std::uint64_t count = 0;
        failure.check(thalweg_events_dropped(raw_, &count, failure));
        return count;
    }
};

// A store, opened.
class engine : public detail::handle<thalweg_engine, thalweg_engine_close> {
public:
    explicit engine(const detail::name &path, const thalweg_engine_options &options = engine_options()) {
        detail::failure failure;
        failure.check(thalweg_engine_open(path.c_str(), &options, &raw_, failure));
    }
    // Makes all durable and marks the store as cleanly closed; tells what the destructor passes over. The object is empty
    // afterwards, as one that was moved from: its calls throw INVALID_ARGUMENT, and closing it again does nothing.
    void close() {
        detail::failure failure;
        failure.check(thalweg_engine_close(release(), failure));
    }
    topic create_topic(const detail::name &name, const thalweg_topic_options &options = topic_options()) {
        detail::failure failure;
        thalweg_topic *raw = nullptr;
        failure.check(thalweg_topic_create(raw_, name.c_str(), &options, &raw, failure));
        return topic(raw);
    }
    thalweg::topic open_topic(const detail::name &name) const {
        detail::failure failure;
        thalweg_topic *raw = nullptr;
        failure.check(thalweg_topic_open(raw_, name.c_str(), &raw, failure));
        return topic(raw);
    }
    // The topic of this name; if there is none it is made, as the options say. One that is there stays as it is,
    // whatever they say: describe() tells its partitions and its durability.
    thalweg::topic open_or_create_topic(const detail::name &name,
                                        const thalweg_topic_options &options = topic_options()) {
        for (;;) {
            detail::failure failure;
            thalweg_topic *raw = nullptr;
            if (failure.check(thalweg_topic_open(raw_, name.c_str(), &raw, failure), THALWEG_NOT_FOUND))
                return topic(raw);
            // Another thread may be faster.
            if (failure.check(thalweg_topic_create(raw_, name.c_str(), &options, &raw, failure),
                              THALWEG_ALREADY_EXISTS))
                return topic(raw);
        }
    }
    void delete_topic(const detail::name &name) {
        detail::failure failure;
        failure.check(thalweg_topic_delete(raw_, name.c_str(), failure));
    }
    std::vector<thalweg_topic_info> topics() const {
        return detail::list<thalweg_topic_info>([this](auto *items, std::size_t capacity, std::size_t *count) {
            detail::failure failure;
            failure.check(thalweg_topic_list(raw_, items, capacity, count, failure));
        });
    }
    thalweg::consumer consumer(const thalweg_consumer_options &options = consumer_options()) {
        detail::failure failure;
        thalweg_consumer *raw = nullptr;
        failure.check(thalweg_consumer_open(raw_, &options, &raw, failure));
        return thalweg::consumer(raw);
    }
    thalweg::consumer consumer(const detail::name &named) { return consumer(consumer_options(named)); }
    thalweg::key_values key_values(const topic &of) {
        detail::failure failure;
        thalweg_key_values *raw = nullptr;
        failure.check(thalweg_key_values_open(raw_, detail::needed(of), &raw, failure));
        return thalweg::key_values(raw);
    }
    thalweg::events events() const {
        detail::failure failure;
        thalweg_events *raw = nullptr;
        failure.check(thalweg_events_open(raw_, &raw, failure));
        return thalweg::events(raw);
    }
    thalweg_info info() const {
        detail::failure failure;
        thalweg_info info;
        thalweg_info_init(&info, sizeof info);
        failure.check(thalweg_engine_info(raw_, &info, failure));
        return info;
    }
    thalweg_metrics metrics() const {
        detail::failure failure;
        thalweg_metrics metrics;
        thalweg_metrics_init(&metrics, sizeof metrics);
        failure.check(thalweg_engine_metrics(raw_, &metrics, failure));
        return metrics;
    }
    // Why it works as it does: lines to show.
    std::string info_text() const {
        return detail::text([this](char *buffer, std::size_t capacity, std::size_t *size) {
            detail::failure failure;
            failure.check(thalweg_engine_info_text(raw_, buffer, capacity, size, failure));
        });
    }
    // What recovery found damaged.
    std::vector<thalweg_damaged_range> damaged() const {
        return detail::list<thalweg_damaged_range>([this](auto *items, std::size_t capacity, std::size_t *count) {
            detail::failure failure;
            failure.check(thalweg_engine_list_damaged(raw_, items, capacity, count, failure));
        });
    }
    // The committed positions of all consumers, or of one; each tells its lag.
    std::vector<thalweg_named_position> positions() const { return positions_of(nullptr); }
    std::vector<thalweg_named_position> positions(const detail::name &consumer) const {
        return positions_of(consumer.c_str());
    }
    // What was committed with a position; empty if there is no such position.
    std::optional<std::string> position_metadata(const detail::name &consumer, const detail::name &topic,
                                                 std::uint32_t partition) const {
        return detail::content([&](char *buffer, std::size_t capacity, std::size_t *size, thalweg_error *error) {
            return thalweg_position_metadata(raw_, consumer.c_str(), topic.c_str(), partition, buffer, capacity, size,
                                             error);
        });
    }
    // Puts a consumer that is not open at a start, in all partitions or one; all or none.
    void reset_position(const detail::name &consumer, const topic &of, start to,
                        std::uint32_t partition = THALWEG_PARTITION_ALL) {
        detail::failure failure;
        failure.check(
            thalweg_position_reset(raw_, consumer.c_str(), detail::needed(of), partition, to.kind, to.value, failure));
    }
    // Removes the positions of a consumer in one topic, or all of them.
    void delete_positions(const detail::name &consumer, const topic &of) {
        detail::failure failure;
        failure.check(thalweg_position_delete(raw_, consumer.c_str(), detail::needed(of), failure));
    }
    void delete_positions(const detail::name &consumer) {
        detail::failure failure;
        failure.check(thalweg_position_delete(raw_, consumer.c_str(), nullptr, failure));
    }
    std::string metrics_json() const {
        return detail::text([this](char *buffer, std::size_t capacity, std::size_t *size) {
            detail::failure failure;
            failure.check(thalweg_engine_metrics_json(raw_, buffer, capacity, size, failure));
        });
    }
    std::string metrics_prometheus() const {
        return detail::text([this](char *buffer, std::size_t capacity, std::size_t *size) {
            detail::failure failure;
            failure.check(thalweg_engine_metrics_prometheus(raw_, buffer, capacity, size, failure));
        });
    }
    // Where damage keeps all positions, or all key-values, from being read: goes on with those that can be.
    thalweg_repaired repair_positions() {
        thalweg_repaired repaired;
        thalweg_repaired_init(&repaired, sizeof repaired);
        detail::failure failure;
        failure.check(thalweg_position_repair(raw_, &repaired, failure));
        return repaired;
    }
    thalweg_repaired repair_key_values() {
        thalweg_repaired repaired;
        thalweg_repaired_init(&repaired, sizeof repaired);
        detail::failure failure;
        failure.check(thalweg_key_values_repair(raw_, &repaired, failure));
        return repaired;
    }
    // The report, and the damaged ranges, of which at most `most` are told.
    std::pair<thalweg_verify_report, std::vector<thalweg_damaged_range>> verify(std::size_t most = 1024) const {
        detail::failure failure;
        thalweg_verify_report report;
        thalweg_verify_report_init(&report, sizeof report);
        std::vector<thalweg_damaged_range> ranges(most);
        std::size_t count = 0;
        failure.check(thalweg_engine_verify(raw_, &report, ranges.data(), ranges.size(), &count, failure));
        ranges.resize(count < most ? count : most);
        return {report, std::move(ranges)};
    }

private:
    std::vector<thalweg_named_position> positions_of(const char *consumer) const {
        return detail::list<thalweg_named_position>([&](auto *items, std::size_t capacity, std::size_t *count) {
            detail::failure failure;
            failure.check(thalweg_position_list(raw_, consumer, items, capacity, count, failure));
        });
    }
};

} // namespace thalweg

#endif
