// The ABI's edge: every refused argument is refused with its value in the message, and changes
// nothing.
#include <cmath>
#include <cstddef>
#include <cstring>
#include <functional>

#include "test/cases.h"

using namespace svdit::test;

namespace {

svdit_backend *backend = nullptr;

TestCase small_case() {
  TestCase c;
  c.frames = 2;
  c.height = 5;
  c.width = 13;
  c.text = 9;
  c.block = 16;
  c.head_dim = 16;
  c.batch = 2;
  c.patterns.resize(3);
  c.patterns[1].mode = SVDIT_MODE_DIAGONAL;
  c.patterns[1].window = 20;
  c.patterns[2].mode = SVDIT_MODE_BLOCKS;
  c.patterns[2].lists.assign(c.video_blocks(), {0, 3, 8});
  return c;
}

void test_library() {
  report.run("the library's own words", [] {
    EXPECT(svdit_abi_version() == SVDIT_ABI_VERSION);
    EXPECT(std::strlen(svdit_header_hash()) == 64);
    EXPECT(std::strstr(svdit_build_description(), "Sparse-vDiT") != nullptr);
  });
  report.run("layouts", [] {
    const uint32_t count = svdit_layout_count();
    // Each struct is followed by its fields, which fill it without holes that are not padding.
    svdit_layout_entry whole{}, entry{};
    uint64_t filled = 0, structs = 0, window = 0;
    for (uint32_t i = 0; i <= count; ++i) {
      entry.struct_bytes = sizeof entry;
      if (i < count) {
        expect_ok([&](svdit_error *e) { return svdit_layout(i, &entry, e); });
      }
      if (i == count || std::strchr(entry.name, '.') == nullptr) {
        EXPECT(structs == 0 || (whole.size_bytes - filled) < 8, "%s: fields end at %llu of %llu",
               whole.name, (unsigned long long)filled, (unsigned long long)whole.size_bytes);
        whole = entry;
        filled = 0;
        ++structs;
        continue;
      }
      EXPECT(std::strncmp(entry.name, whole.name, std::strlen(whole.name)) == 0);
      EXPECT(entry.offset_bytes >= filled && entry.offset_bytes - filled < 8, "hole before %s",
             entry.name);
      filled = entry.offset_bytes + entry.size_bytes;
      if (std::strcmp(entry.name, "svdit_pattern.window") == 0) window = entry.offset_bytes;
    }
    EXPECT(structs == 24 + 1, "%llu structs", (unsigned long long)structs - 1);
    EXPECT(window == offsetof(svdit_pattern, window));
    expect_status(
        SVDIT_INVALID_ARGUMENT, [&](svdit_error *e) { return svdit_layout(count, &entry, e); },
        std::to_string(count).c_str());
    entry.struct_bytes = 8;
    expect_status(
        SVDIT_INVALID_ARGUMENT, [&](svdit_error *e) { return svdit_layout(0, &entry, e); }, "8",
        "struct_bytes");
  });
  report.run("a long message is cut, a foreign svdit_error is refused", [] {
    svdit_error error = new_error();
    error.struct_bytes = 16;
    error.message[8] = 'x';
    svdit_layout_entry entry{};
    entry.struct_bytes = sizeof entry;
    EXPECT(svdit_layout(0, &entry, &error) == SVDIT_INVALID_ARGUMENT);
    EXPECT(std::strlen(error.message) == 7, "'%s'", error.message);
    EXPECT(error.message[8] == 'x', "written past its end");
    EXPECT(svdit_layout(0, &entry, nullptr) == SVDIT_OK);
  });
}

void test_backend_options() {
  const auto open = [](const std::function<void(svdit_backend_options &)> &change,
                       svdit_status status, const char *word) {
    svdit_backend_options options{};
    options.struct_bytes = sizeof options;
    change(options);
    svdit_backend_info info{};
    info.struct_bytes = sizeof info;
    svdit_backend *opened = nullptr;
    expect_status(
        status, [&](svdit_error *e) { return svdit_backend_open(&options, &opened, e); }, word);
    expect_status(
        status, [&](svdit_error *e) { return svdit_backend_probe(&options, &info, e); }, word);
    EXPECT(opened == nullptr);
  };
  report.run("backend options", [&] {
    open([](auto &o) { o.struct_bytes = 4; }, SVDIT_INVALID_ARGUMENT, "struct_bytes is 4");
    open([](auto &o) { o.kind = 7; }, SVDIT_INVALID_ARGUMENT, "7");
    open([](auto &o) { o.device = 1; }, SVDIT_INVALID_ARGUMENT, "device is 1");
    open([](auto &o) { o.threads = -3; }, SVDIT_INVALID_ARGUMENT, "-3");
    open([](auto &o) { o.cpu_tier = 9; }, SVDIT_INVALID_ARGUMENT, "9");
    open([](auto &o) { o.reserved[2] = 1; }, SVDIT_INVALID_ARGUMENT, "reserved");
#if !SVDIT_WITH_CUDA
    open([](auto &o) { o.kind = SVDIT_BACKEND_CUDA; }, SVDIT_UNAVAILABLE, "not built into");
#endif
    const char *set = std::getenv("SVDIT_CPU_TIER");
    const std::string before = set == nullptr ? "" : set;
    const std::vector<uint32_t> tiers = present_tiers();
    setenv("SVDIT_CPU_TIER", "sse9", 1);
    open([](auto &) {}, SVDIT_INVALID_ARGUMENT, "sse9");
    // AUTO is what the environment says; a tier that is asked for by number is not.
    svdit_backend_info info{};
    info.struct_bytes = sizeof info;
    for (uint32_t tier : tiers) {
      setenv("SVDIT_CPU_TIER", tier_label(tier), 1);
      for (uint32_t asked : {(uint32_t)SVDIT_CPU_TIER_AUTO, (uint32_t)SVDIT_CPU_TIER_PORTABLE}) {
        svdit_backend *opened = open_cpu(asked, 0);
        expect_ok([&](svdit_error *e) { return svdit_backend_describe(opened, &info, e); });
        EXPECT(info.cpu_tier == (asked == SVDIT_CPU_TIER_AUTO ? tier : asked));
        EXPECT(info.threads >= 1 && info.name[0] != 0);
        svdit_backend_close(opened);
      }
    }
    if (before.empty()) {
      unsetenv("SVDIT_CPU_TIER");
    } else {
      setenv("SVDIT_CPU_TIER", before.c_str(), 1);
    }
    EXPECT(info.memory_bytes >= info.memory_free_bytes && info.memory_free_bytes > 0);
    svdit_backend_close(nullptr);
  });
}

void test_memory() {
  report.run("memory and streams", [] {
    void *a = nullptr, *b = nullptr;
    expect_ok([&](svdit_error *e) { return svdit_memory_allocate(backend, 0, 1000, &a, e); });
    expect_ok([&](svdit_error *e) { return svdit_memory_allocate(backend, 1, 1000, &b, e); });
    EXPECT((uintptr_t)a % 256 == 0 && (uintptr_t)b % 256 == 0);
    std::memset(a, 42, 1000);
    expect_ok([&](svdit_error *e) { return svdit_memory_copy(backend, b, a, 1000, nullptr, e); });
    EXPECT(std::memcmp(a, b, 1000) == 0);
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) {
          return svdit_memory_copy(backend, a, (char *)a + 10, 100, nullptr, e);
        },
        "overlap");
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_memory_copy(backend, a, b, 100, (svdit_stream)a, e); },
        "stream");
    void *none = nullptr;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_memory_allocate(backend, 2, 8, &none, e); }, "2");
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_memory_allocate(backend, 0, 0, &none, e); }, "0");
    expect_status(
        SVDIT_OUT_OF_MEMORY,
        [&](svdit_error *e) { return svdit_memory_allocate(backend, 0, UINT64_MAX - 5, &none, e); },
        "18446744073709551610");
    EXPECT(none == nullptr);
    expect_ok([&](svdit_error *e) { return svdit_memory_free(backend, 0, a, e); });
    expect_ok([&](svdit_error *e) { return svdit_memory_free(backend, 1, b, e); });
    expect_ok([&](svdit_error *e) { return svdit_memory_free(backend, 0, nullptr, e); });
    svdit_stream stream = (svdit_stream)backend;
    expect_ok([&](svdit_error *e) { return svdit_stream_create(backend, &stream, e); });
    EXPECT(stream == nullptr);
    expect_ok([&](svdit_error *e) { return svdit_stream_synchronize(backend, stream, e); });
    expect_ok([&](svdit_error *e) { return svdit_stream_destroy(backend, stream, e); });
    svdit_event event = nullptr;
    expect_status(
        SVDIT_UNSUPPORTED, [&](svdit_error *e) { return svdit_event_create(backend, &event, e); },
        "block");
    expect_status(
        SVDIT_UNSUPPORTED,
        [&](svdit_error *e) { return svdit_capture_begin(backend, (void *)64, e); }, "block");
  });
}

void test_plan_arguments() {
  struct Refused {
    const char *name;
    std::function<void(PlanDesc &)> change;
    const char *words[2];
  };
  static int32_t descending[] = {3, 1}, outside[] = {0, 99};
  static int64_t bad_offsets[] = {0, 3, 2, 9, 12, 15, 18, 21, 24, 27};
  const Refused refused[] = {
      {"struct size", [](PlanDesc &d) { d.desc.struct_bytes = 3; }, {"struct_bytes is 3", ""}},
      {"reserved", [](PlanDesc &d) { d.desc.reserved[0] = 1; }, {"reserved", ""}},
      {"element type", [](PlanDesc &d) { d.desc.element_type = 5; }, {"element_type is 5", ""}},
      {"frames 0", [](PlanDesc &d) { d.desc.sequence.frames = 0; }, {"0 x 5 x 13", ""}},
      {"too many tokens",
       [](PlanDesc &d) { d.desc.sequence.frames = d.desc.sequence.width = INT32_MAX; },
       {"2147483647", "more than"}},
      {"text -1", [](PlanDesc &d) { d.desc.sequence.text = -1; }, {"text is -1", ""}},
      {"text_first 2",
       [](PlanDesc &d) { d.desc.sequence.text_first = 2; },
       {"text_first is 2", ""}},
      {"sequence size",
       [](PlanDesc &d) { d.desc.sequence.struct_bytes = 1; },
       {"svdit_sequence", "1"}},
      {"key_tokens -1", [](PlanDesc &d) { d.desc.key_tokens = -1; }, {"key_tokens is -1", ""}},
      {"cross-attention with a window",
       [](PlanDesc &d) { d.desc.key_tokens = 5; },
       {"patterns[1]", "FULL"}},
      {"block 48", [](PlanDesc &d) { d.desc.block = 48; }, {"block is 48", "128"}},
      {"heads 0", [](PlanDesc &d) { d.desc.heads = 0; }, {"heads is 0", ""}},
      {"no patterns", [](PlanDesc &d) { d.desc.patterns = nullptr; }, {"patterns is NULL", ""}},
      {"mode 6", [](PlanDesc &d) { d.patterns[0].mode = 6; }, {"patterns[0].mode is 6", ""}},
      {"pattern size",
       [](PlanDesc &d) { d.patterns[2].struct_bytes = 9; },
       {"patterns[2].struct_bytes is 9", ""}},
      {"pattern reserved",
       [](PlanDesc &d) { d.patterns[0].reserved[3] = 2; },
       {"patterns[0].reserved", ""}},
      {"order 3", [](PlanDesc &d) { d.patterns[0].order = 3; }, {"order is 3", ""}},
      {"tiles of 0",
       [](PlanDesc &d) { d.patterns[0].order = SVDIT_ORDER_TILE_MAJOR; },
       {"0 x 0 x 0", ""}},
      {"tiles without tile order",
       [](PlanDesc &d) { d.patterns[0].tile_h = 2; },
       {"0 x 2 x 0", ""}},
      {"diagonal token-major",
       [](PlanDesc &d) { d.patterns[1].order = 1; },
       {"DIAGONAL", "order is 1"}},
      {"window -4", [](PlanDesc &d) { d.patterns[1].window = -4; }, {"window is -4", ""}},
      {"window of FULL", [](PlanDesc &d) { d.patterns[0].window = 4; }, {"window is 4", "FULL"}},
      {"blocks of FULL",
       [](PlanDesc &d) {
         d.patterns[0].blocks = outside;
         d.patterns[0].block_count = 1;
       },
       {"block_count is 1", "FULL"}},
      {"blocks NULL", [](PlanDesc &d) { d.patterns[1].block_count = 2; }, {"blocks is NULL", "2"}},
      {"block outside",
       [](PlanDesc &d) {
         d.patterns[1].blocks = outside;
         d.patterns[1].block_count = 2;
       },
       {"blocks[1] is 99", "0 to 8"}},
      {"descending",
       [](PlanDesc &d) {
         d.patterns[1].blocks = descending;
         d.patterns[1].block_count = 2;
       },
       {"1 after 3", "ascending"}},
      {"lists of DIAGONAL",
       [](PlanDesc &d) { d.patterns[1].list_count = 1; },
       {"list_count is 1", "DIAGONAL"}},
      {"list count", [](PlanDesc &d) { d.patterns[2].list_count = 8; }, {"list_count is 8", "9"}},
      {"offsets NULL",
       [](PlanDesc &d) { d.patterns[2].list_offsets = nullptr; },
       {"list_offsets is NULL", ""}},
      {"offsets descend",
       [](PlanDesc &d) { d.patterns[2].list_offsets = bad_offsets; },
       {"list_offsets[2] is 2", "3"}},
      {"offsets short", [](PlanDesc &d) { d.patterns[2].block_count = 26; }, {"27", "26"}},
  };
  for (const Refused &r : refused) {
    report.run(std::string("refused plan: ") + r.name, [&] {
      PlanDesc desc(small_case());
      r.change(desc);
      svdit_plan *plan = nullptr;
      expect_status(
          SVDIT_INVALID_ARGUMENT,
          [&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); },
          r.words[0], r.words[1]);
      EXPECT(plan == nullptr);
    });
  }
  report.run("unsupported head dims", [] {
    for (int32_t d : {12, 264}) {
      TestCase c = small_case();
      c.head_dim = d;
      const PlanDesc desc(c);
      svdit_plan *plan = nullptr;
      expect_status(
          SVDIT_UNSUPPORTED,
          [&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); },
          ("head_dim is " + std::to_string(d)).c_str());
    }
  });
}

void test_attention_arguments() {
  const TestCase c = small_case();
  Random random(1);
  const TestData data(c, random, Strides::kGaps);
  const PlanDesc desc(c);
  svdit_plan *plan = nullptr;
  expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
  static int32_t valid[] = {3, 10};
  struct Refused {
    const char *name;
    std::function<void(svdit_attention_args &)> change;
    const char *words[2];
  };
  const Refused refused[] = {
      {"struct size", [](auto &a) { a.struct_bytes = 5; }, {"struct_bytes is 5", ""}},
      {"reserved", [](auto &a) { a.reserved[1] = 5; }, {"reserved", ""}},
      {"launches", [](auto &a) { a.launches = 5; }, {"launches is 5", ""}},
      {"batch 0", [](auto &a) { a.batch = 0; }, {"batch is 0", ""}},
      {"batch 3 of 2", [](auto &a) { a.batch = 3; }, {"q: extent_bytes", ""}},
      {"q NULL", [](auto &a) { a.q.data = nullptr; }, {"q.data is NULL", ""}},
      {"k one byte short", [](auto &a) { a.k.extent_bytes -= 1; }, {"k: extent_bytes", ""}},
      {"v stride", [](auto &a) { a.v.stride_token = -1; }, {"v: strides", "-1"}},
      {"v stride overflow",
       [](auto &a) { a.v.stride_batch = INT64_MAX; },
       {"v: extent_bytes", "more than"}},
      {"misaligned", [](auto &a) { a.k.data = (char *)a.k.data + 1; }, {"k.data", "element size"}},
      {"out in k",
       [](auto &a) {
         a.out.data = a.k.data;
         a.out.extent_bytes = a.k.extent_bytes;
       },
       {"out", "overlaps k"}},
      {"out in itself", [](auto &a) { a.out.stride_head = 3; }, {"out: strides", "3"}},
      {"lse short", [](auto &a) { a.lse_bytes -= 4; }, {"lse_bytes", ""}},
      {"lse in out",
       [](auto &a) {
         a.lse = (float *)a.out.data;
         a.lse_bytes = a.out.extent_bytes;
       },
       {"lse", "overlaps out"}},
      {"scale NaN", [](auto &a) { a.scale = NAN; }, {"scale is", "nan"}},
      {"scale infinite", [](auto &a) { a.scale = INFINITY; }, {"scale is", "inf"}},
      {"head range",
       [](auto &a) {
         a.head_begin = 2;
         a.head_end = 4;
       },
       {"2 and 4", "0 to 3"}},
      {"empty head range", [](auto &a) { a.head_begin = a.head_end = 1; }, {"1 and 1", ""}},
      {"query block range",
       [](auto &a) {
         a.query_block_begin = -1;
         a.query_block_end = 2;
       },
       {"-1 and 2", ""}},
      {"text_valid", [](auto &a) { a.text_valid = valid; }, {"text_valid[1] is 10", "9"}},
  };
  for (const Refused &r : refused) {
    report.run(std::string("refused attention: ") + r.name, [&] {
      svdit_attention_args args = data.args(c);
      r.change(args);
      expect_status(
          SVDIT_INVALID_ARGUMENT,
          [&](svdit_error *e) { return svdit_attention(plan, &args, nullptr, e); }, r.words[0],
          r.words[1]);
      const auto *bytes = (const unsigned char *)data.out.tensor().data;
      uint64_t touched = 0;
      for (uint64_t i = 0; i < data.out.tensor().extent_bytes; ++i) touched += bytes[i] != 0xFF;
      EXPECT(touched == 0, "out was written");
    });
  }
  report.run("plan queries out of range", [&] {
    svdit_run run;
    int64_t count = -7;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_plan_runs(plan, 3, 0, -1, &run, 1, &count, e); },
        "head is 3");
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_plan_runs(plan, 0, 10, -1, &run, 1, &count, e); },
        "query_block is 10");
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_plan_runs(plan, 0, 0, 10, &run, 1, &count, e); },
        "text_valid is 10");
    EXPECT(count == -7);
    double density[3];
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_plan_density(plan, -2, density, e); }, "-2");
    uint64_t bytes = 1;
    expect_ok([&](svdit_error *e) { return svdit_plan_workspace(plan, 4, &bytes, e); });
    EXPECT(bytes == 0);
  });
  svdit_plan_destroy(plan);
  svdit_plan_destroy(nullptr);
}

void test_sweep_arguments() {
  const TestCase c = small_case();
  Random random(2);
  const TestData data(c, random, Strides::kBatchHeadToken);
  const PlanDesc desc(c);
  svdit_plan *plan = nullptr;
  expect_ok([&](svdit_error *e) { return svdit_plan_create(backend, &desc.desc, &plan, e); });
  static const int32_t query_blocks[] = {0, 9}, outside[] = {0, 10};
  static const int64_t stops[] = {0, 4}, descending[] = {4, 0};
  static const int32_t first[] = {1, 2, 2, 5}, first_twice[] = {1, 1, 2, 5},
                       first_outside[] = {1, 9, 2, 5};
  static const int32_t too_many[] = {900, 0};
  static const int64_t offsets[] = {0, 2, 3, 4}, offsets_down[] = {0, 2, 1, 4};
  double error[64], norm[64];
  const auto arguments = [&] {
    svdit_sweep_args args{};
    args.struct_bytes = sizeof args;
    args.batch = c.batch;
    args.q = data.q.tensor();
    args.k = data.k.tensor();
    args.v = data.v.tensor();
    args.query_block_count = 2;
    args.query_blocks = query_blocks;
    args.stop_count = 2;
    args.stops = stops;
    args.first = first;
    args.first_offsets = offsets;
    args.error = error;
    args.norm = norm;
    return args;
  };
  struct Refused {
    const char *name;
    std::function<void(svdit_sweep_args &)> change;
    const char *words[2];
  };
  const Refused refused[] = {
      {"struct size", [](auto &a) { a.struct_bytes = 0; }, {"struct_bytes is 0", ""}},
      {"rule", [](auto &a) { a.rule = 2; }, {"rule is 2", ""}},
      {"order", [](auto &a) { a.order = 8; }, {"order is 8", ""}},
      {"no query blocks", [](auto &a) { a.query_block_count = 0; }, {"query_block_count is 0", ""}},
      {"query block", [](auto &a) { a.query_blocks = outside; }, {"query_blocks[1] is 10", ""}},
      {"stops descend", [](auto &a) { a.stops = descending; }, {"stops[1] is 0", ""}},
      {"stops NULL", [](auto &a) { a.stops = nullptr; }, {"stops is NULL", ""}},
      {"error NULL", [](auto &a) { a.error = nullptr; }, {"error is NULL", ""}},
      {"norm NULL", [](auto &a) { a.norm = nullptr; }, {"norm is NULL", ""}},
      {"first without offsets", [](auto &a) { a.first_offsets = nullptr; }, {"first_offsets", ""}},
      {"first twice", [](auto &a) { a.first = first_twice; }, {"first[1] is 1", "twice"}},
      {"first outside", [](auto &a) { a.first = first_outside; }, {"first[1] is 9", ""}},
      {"offsets descend",
       [](auto &a) { a.first_offsets = offsets_down; },
       {"first_offsets[2] is 1", ""}},
      {"a stop past the list",
       [](auto &a) { a.rule = SVDIT_SWEEP_RANKED; },
       {"stops[1] is 4", "lists 2"}},
      {"head range", [](auto &a) { a.head_end = 9; }, {"0 and 9", ""}},
      {"text_valid", [](auto &a) { a.text_valid = too_many; }, {"text_valid[0] is 900", ""}},
      {"reserved", [](auto &a) { a.reserved[1] = 1; }, {"svdit_sweep_args", ""}},
      {"q short", [](auto &a) { a.q.extent_bytes = 4; }, {"q: extent_bytes is 4", ""}},
  };
  for (const Refused &r : refused) {
    report.run(std::string("refused sweep: ") + r.name, [&] {
      svdit_sweep_args args = arguments();
      norm[0] = 77;
      r.change(args);
      expect_status(
          SVDIT_INVALID_ARGUMENT,
          [&](svdit_error *e) { return svdit_sweep(plan, &args, nullptr, e); }, r.words[0],
          r.words[1]);
      EXPECT(norm[0] == 77, "norm was written");
    });
  }
  report.run("a sweep's workspace", [&] {
    svdit_sweep_args args = arguments();
    uint64_t bytes = 1;
    expect_ok([&](svdit_error *e) { return svdit_sweep_workspace(plan, &args, &bytes, e); });
    EXPECT(bytes == 0, "the CPU needs %llu bytes", (unsigned long long)bytes);
    args.query_blocks = outside;
    expect_status(
        SVDIT_INVALID_ARGUMENT,
        [&](svdit_error *e) { return svdit_sweep_workspace(plan, &args, &bytes, e); },
        "query_blocks[1] is 10");
  });
  svdit_plan_destroy(plan);
}

}  // namespace

int main() {
  test_library();
  test_backend_options();
  backend = open_cpu(SVDIT_CPU_TIER_AUTO, 2);
  test_memory();
  test_plan_arguments();
  test_attention_arguments();
  test_sweep_arguments();
  svdit_backend_close(backend);
  return report.finish();
}
