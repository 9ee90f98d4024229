/* clang-format off */
/*
 * svdit.h: the C ABI of Sparse-vDiT for the JVM.
 *
 * Structured sparse attention for video diffusion transformers (Sparse-vDiT, arXiv 2506.03065), with
 * the operations a denoiser needs around it. This header is all that Java knows of the native code.
 *
 * Conventions
 * - Fixed-width integers only, no C++ types. Handles are opaque and made and destroyed in pairs.
 * - Every function that can fail returns svdit_status. On failure it writes a message that names the
 *   offending value into the caller's svdit_error (which may be NULL), and changes nothing else: no
 *   output parameter, and no tensor unless work had already started.
 * - Every struct begins with struct_bytes, which the caller sets to sizeof(the struct) of the header
 *   it was compiled with. Reserved fields are zero; a non-zero one is refused.
 * - Thread-safety: all functions may be called from any thread. A handle may be used by many threads at
 *   once; destroying one while another thread uses it is the caller's error.
 * - Sizes are in elements unless the name ends in _bytes. Tokens, blocks and heads count from 0.
 *
 * ABI policy: SVDIT_ABI_VERSION rises whenever an existing function, field or meaning changes. Adding a
 * function, or a field in place of a reserved one whose zero keeps the old meaning, does not raise it.
 * The library and the bindings each carry the SHA-256 of this file; the Java runtime compares both
 * and every struct layout when it loads the library.
 */
#ifndef SVDIT_H
#define SVDIT_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SVDIT_ABI_VERSION 1

#if defined(_WIN32)
#define SVDIT_API
#else
#define SVDIT_API __attribute__((visibility("default")))
#endif

/* ---- status ---------------------------------------------------------------------------------- */

/* What a call came to; one of SVDIT_OK, SVDIT_INVALID_ARGUMENT, ... */
typedef int32_t svdit_status;
enum {
  SVDIT_OK = 0,
  SVDIT_INVALID_ARGUMENT = 1, /* an argument is wrong; nothing was touched */
  SVDIT_UNSUPPORTED = 2,      /* legal, but this backend or build does not do it */
  SVDIT_OUT_OF_MEMORY = 3,    /* host or device memory ran out */
  SVDIT_UNAVAILABLE = 4,      /* no such device, driver or library here; the message says why */
  SVDIT_DEVICE_ERROR = 5,     /* the device reported an error; a sticky one makes every later call fail */
  SVDIT_INTERNAL = 6,         /* a defect in this library */
  SVDIT_CANCELLED = 7         /* svdit_attention_args.cancelled asked for it */
};

/* Where a failing call writes its message: UTF-8, NUL-terminated, cut to fit. */
typedef struct svdit_error {
  uint32_t struct_bytes;
  uint32_t reserved;
  char message[1016];
} svdit_error;

/* ---- the library itself ---------------------------------------------------------------------- */

/* SVDIT_ABI_VERSION the library was built with. */
SVDIT_API uint32_t svdit_abi_version(void);

/* SHA-256 (64 lower-case hex digits) of the svdit.h the library was built with. Static storage. */
SVDIT_API const char *svdit_header_hash(void);

/* One line about the build: version, compiler, CPU tiers, whether CUDA is built in. Static storage. */
SVDIT_API const char *svdit_build_description(void);

/* One field of one struct ("svdit_pattern.window") or one whole struct ("svdit_pattern"). */
typedef struct svdit_layout_entry {
  uint32_t struct_bytes;
  uint32_t reserved;
  char name[64];
  uint64_t offset_bytes; /* of the field in its struct; 0 for a whole struct */
  uint64_t size_bytes;
} svdit_layout_entry;

/* How many layout entries there are. */
SVDIT_API uint32_t svdit_layout_count(void);

/* Writes entry index (0 <= index < svdit_layout_count()) as the library's compiler laid it out. */
SVDIT_API svdit_status svdit_layout(uint32_t index, svdit_layout_entry *entry, svdit_error *error);

/* ---- backends -------------------------------------------------------------------------------- */

/* Where plans compute. Owns its threads (CPU) or its context and kernels (CUDA). */
typedef struct svdit_backend svdit_backend;

/* svdit_backend_options.kind */
enum { SVDIT_BACKEND_CPU = 0, SVDIT_BACKEND_CUDA = 1 };

/* svdit_backend_options.cpu_tier: which instructions the CPU backend uses. AUTO picks the highest the
   processor has; the environment variable SVDIT_CPU_TIER (portable, avx2, avx512, avx512_bf16)
   overrides AUTO. A tier the processor lacks is UNAVAILABLE. */
enum {
  SVDIT_CPU_TIER_AUTO = 0,
  SVDIT_CPU_TIER_PORTABLE = 1,
  SVDIT_CPU_TIER_AVX2 = 2,
  SVDIT_CPU_TIER_AVX512 = 3,
  SVDIT_CPU_TIER_AVX512_BF16 = 4
};

typedef struct svdit_backend_options {
  uint32_t struct_bytes;
  uint32_t kind;     /* SVDIT_BACKEND_* */
  int32_t device;    /* CUDA device ordinal; 0 on the CPU */
  int32_t threads;   /* CPU: threads that compute at a time, callers included; 0 = as many as the affinity mask and the
                        cgroup's CPU quota allow. Callers beyond them take turns, first come first served. All
                        backends of a process together use no more than that quota, or the largest of these */
  uint32_t cpu_tier; /* SVDIT_CPU_TIER_* */
  uint32_t reserved0;
  uint64_t reserved[4];
} svdit_backend_options;

typedef struct svdit_backend_info {
  uint32_t struct_bytes;
  uint32_t kind;
  int32_t device;
  int32_t threads;  /* CPU */
  uint32_t cpu_tier; /* CPU: the tier in use, never AUTO */
  int32_t compute_capability; /* CUDA: 10 * major + minor */
  int32_t multiprocessors;    /* CUDA */
  int32_t driver_version;     /* CUDA: as cudaDriverGetVersion gives it; 0 where there is no driver */
  int32_t runtime_version;    /* CUDA: of the runtime built in; 0 where CUDA is not built in */
  int32_t reserved0;
  uint64_t memory_bytes;      /* of the device, or of this machine */
  uint64_t memory_free_bytes; /* now */
  char name[128];             /* device or processor name */
  uint64_t memory_used_bytes; /* DEVICE memory allocated from this backend and not freed */
  uint64_t memory_host_bytes; /* HOST memory, likewise */
  uint64_t queue_waits;       /* CPU: how often a call waited for a thread's turn; see svdit_backend_options.threads */
  uint64_t queue_wait_ns;     /* CPU: how long all of them waited */
} svdit_backend_info;

/* What svdit_backend_open(options) would give, without opening it. UNAVAILABLE with the reason (not built
   in, no driver, driver too old, no device, wrong architecture, missing CPU tier) where it cannot;
   info is then filled as far as known. */
SVDIT_API svdit_status svdit_backend_probe(const svdit_backend_options *options, svdit_backend_info *info,
                                           svdit_error *error);

/* Opens a backend; the caller closes it, after all plans, memory and streams made from it. */
SVDIT_API svdit_status svdit_backend_open(const svdit_backend_options *options, svdit_backend **backend,
                                          svdit_error *error);

/* Joins its threads and frees it. NULL is allowed. */
SVDIT_API void svdit_backend_close(svdit_backend *backend);

SVDIT_API svdit_status svdit_backend_describe(const svdit_backend *backend, svdit_backend_info *info,
                                              svdit_error *error);

/* ---- memory and streams ---------------------------------------------------------------------- */

/* DEVICE is where the backend computes (host memory on the CPU); HOST is host memory that the device copies
   from and to at full speed (pinned on CUDA). Addresses are aligned to 256 bytes. */
enum { SVDIT_MEMORY_DEVICE = 0, SVDIT_MEMORY_HOST = 1 };

/* An ordered queue of device work; a cudaStream_t on CUDA (NULL is the legacy default stream), NULL on the
   CPU, where every call blocks until it is done. */
typedef void *svdit_stream;

/* Allocates bytes >= 1 bytes, not cleared. Freed with svdit_memory_free of the same backend and kind. */
SVDIT_API svdit_status svdit_memory_allocate(svdit_backend *backend, uint32_t kind, uint64_t bytes,
                                             void **address, svdit_error *error);

/* NULL is allowed. On CUDA it waits for the default stream and all streams ordered with it, those of
   svdit_stream_create among them, unless a stream of the device is being captured (svdit_capture_begin, or such a
   stream by whomever): then, and where a stream of another kind uses the memory (cudaStreamNonBlocking), whoever frees
   has waited. */
SVDIT_API svdit_status svdit_memory_free(svdit_backend *backend, uint32_t kind, void *address,
                                         svdit_error *error);

/* Copies between any two places the backend can reach (host or its device), in stream order; on CUDA it returns
   before the copy is done where the host side is HOST memory. Ranges must not overlap. */
SVDIT_API svdit_status svdit_memory_copy(svdit_backend *backend, void *to, const void *from, uint64_t bytes,
                                         svdit_stream stream, svdit_error *error);

SVDIT_API svdit_status svdit_stream_create(svdit_backend *backend, svdit_stream *stream, svdit_error *error);
SVDIT_API svdit_status svdit_stream_destroy(svdit_backend *backend, svdit_stream stream, svdit_error *error);

/* Waits until all work given to stream so far is done, and reports what went wrong in it. */
SVDIT_API svdit_status svdit_stream_synchronize(svdit_backend *backend, svdit_stream stream,
                                                svdit_error *error);

/* Events and graphs are CUDA's; on the CPU every one of their functions is UNSUPPORTED. */

/* A mark in a stream's work; a cudaEvent_t on CUDA. */
typedef void *svdit_event;

SVDIT_API svdit_status svdit_event_create(svdit_backend *backend, svdit_event *event, svdit_error *error);
SVDIT_API svdit_status svdit_event_destroy(svdit_backend *backend, svdit_event event, svdit_error *error);

/* Marks all work given to stream so far; an earlier mark of the event is forgotten. */
SVDIT_API svdit_status svdit_event_record(svdit_backend *backend, svdit_event event, svdit_stream stream,
                                          svdit_error *error);

/* Whether the marked work is done (1) or not (0); an event never recorded is done. */
SVDIT_API svdit_status svdit_event_query(svdit_backend *backend, svdit_event event, int32_t *done,
                                         svdit_error *error);

/* Waits until the marked work is done. */
SVDIT_API svdit_status svdit_event_synchronize(svdit_backend *backend, svdit_event event, svdit_error *error);

/* Milliseconds of the device's clock between two marks whose work is done. */
SVDIT_API svdit_status svdit_event_elapsed(svdit_backend *backend, svdit_event begin, svdit_event end,
                                           float *milliseconds, svdit_error *error);

/* Work given to stream from now on begins after the marked work is done; does not block. */
SVDIT_API svdit_status svdit_stream_wait(svdit_backend *backend, svdit_stream stream, svdit_event event,
                                         svdit_error *error);

/* Work of one stream, recorded once to be launched many times. The launches read and write the memory that the
   recorded calls named, as it is then: a new prompt is other contents of text_valid. The plans, the memory and the
   workspaces of the recorded calls stay as long as the graph does. */
typedef struct svdit_graph svdit_graph;

/* From here on work given to stream (not NULL) is recorded instead of done, whichever thread gives it. Until
   svdit_capture_end nobody may wait for the stream: that breaks the capture. What is given to the device's legacy
   default stream meanwhile is refused with INVALID_ARGUMENT, and harms no capture; this call waits for those that
   use it. Other threads may allocate, free, make plans and use other streams as always. */
SVDIT_API svdit_status svdit_capture_begin(svdit_backend *backend, svdit_stream stream, svdit_error *error);

/* Ends the capture and makes a graph of it, which the caller destroys before the backend; graph NULL throws it away. */
SVDIT_API svdit_status svdit_capture_end(svdit_backend *backend, svdit_stream stream, svdit_graph **graph,
                                         svdit_error *error);

/* Gives the graph's work to stream; does not block. Launches of one graph run one after the other. */
SVDIT_API svdit_status svdit_graph_launch(svdit_graph *graph, svdit_stream stream, svdit_error *error);

/* NULL is allowed. Its launches are done. */
SVDIT_API void svdit_graph_destroy(svdit_graph *graph);

/* ---- sequence, order, pattern ---------------------------------------------------------------- */

/* Element types. FP32 tensors are accepted by the CPU backend only. E4M3 (8 bits: sign, 4 of the exponent, 3 of the
   mantissa; up to 448) is what a plan may compute in; no tensor holds it. */
enum { SVDIT_BF16 = 0, SVDIT_FP16 = 1, SVDIT_FP32 = 2, SVDIT_E4M3 = 3 };

/* Modes (paper section 3; the exact block sets are in the README's "Patterns"). */
enum {
  SVDIT_MODE_FULL = 0,            /* every block sees every block */
  SVDIT_MODE_SKIP = 1,            /* the head's output is 0, its LSE -inf, text rows included */
  SVDIT_MODE_DIAGONAL = 2,        /* token distance <= window in frame-major order, and the anchors */
  SVDIT_MODE_MULTI_DIAGONAL = 3,  /* the same in token-major order */
  SVDIT_MODE_VERTICAL_STRIPE = 4, /* the blocks in `blocks`, for every query */
  SVDIT_MODE_BLOCKS = 5           /* an explicit list per video query block */
};

/* How the video tokens are lined up before they are cut into blocks. */
enum {
  SVDIT_ORDER_FRAME_MAJOR = 0, /* (t, h, w), w fastest: as stored */
  SVDIT_ORDER_TOKEN_MAJOR = 1, /* (h, w, t), t fastest */
  SVDIT_ORDER_TILE_MAJOR = 2   /* tiles of tile_t x tile_h x tile_w in (t, h, w) order, tokens in (t, h, w) order
                                  inside; tiles at the far edges are short */
};

/* The tokens of one self-attention call: frames x height x width video tokens, stored frame-major, and
   `text` text tokens before (text_first = 1) or after them. */
typedef struct svdit_sequence {
  uint32_t struct_bytes;
  int32_t frames, height, width; /* each >= 1 */
  int32_t text;                  /* >= 0 */
  int32_t text_first;            /* 0 or 1 */
  uint64_t reserved[2];
} svdit_sequence;

/* One head's mode with its parameters. Arrays are read during svdit_plan_create only. */
typedef struct svdit_pattern {
  uint32_t struct_bytes;
  uint32_t mode;                  /* SVDIT_MODE_* */
  uint32_t order;                 /* SVDIT_ORDER_*; DIAGONAL is FRAME_MAJOR, MULTI_DIAGONAL TOKEN_MAJOR */
  int32_t tile_t, tile_h, tile_w; /* TILE_MAJOR: each >= 1; else 0 */
  int64_t window;                 /* DIAGONAL, MULTI_DIAGONAL: in tokens, >= 0; else 0 */
  const int32_t *blocks;          /* anchors, stripes, or all lists one after the other; each list strictly
                                     ascending, every element a video block of the order */
  int64_t block_count;            /* elements of blocks */
  const int64_t *list_offsets;    /* BLOCKS: list i is blocks[list_offsets[i] .. list_offsets[i + 1]), one per
                                     video query block; else NULL */
  int64_t list_count;             /* BLOCKS: number of lists (= video blocks); else 0 */
  uint64_t reserved[4];
} svdit_pattern;

/* ---- plans ----------------------------------------------------------------------------------- */

/* One layer's patterns compiled for one sequence, element type and backend. Immutable. */
typedef struct svdit_plan svdit_plan;

typedef struct svdit_plan_desc {
  uint32_t struct_bytes;
  uint32_t element_type;   /* SVDIT_BF16, FP16, FP32: of q, k, v and out. E4M3: those are BF16, see svdit_attention */
  svdit_sequence sequence; /* of the queries, and of the keys where key_tokens = 0 */
  int64_t key_tokens;      /* 0: self-attention. > 0: cross-attention to that many keys, all of them text, valid up
                              to text_valid; every pattern is FULL or SKIP */
  int32_t block;           /* tokens per block: 128, 64; CPU also 32, 16 */
  int32_t heads;           /* >= 1 */
  int32_t head_dim;        /* CPU: a multiple of 8 up to 256; CUDA: 64, 128 */
  uint32_t reserved0;
  const svdit_pattern *patterns; /* one per head */
  uint64_t reserved[4];
} svdit_plan_desc;

typedef struct svdit_plan_info {
  uint32_t struct_bytes;
  int32_t heads;
  int32_t groups;             /* sets of heads that share a mode and so a launch */
  int32_t video_query_blocks; /* query blocks 0 .. video_query_blocks - 1 are video, in each pattern's order */
  int32_t query_blocks;       /* the rest, up to query_blocks - 1, are text, wherever the text lies */
  int32_t reserved0;
  int64_t query_tokens;
  int64_t key_tokens;
  uint64_t bytes;             /* memory the plan takes, on the host and the device, but for fixed parts */
  uint64_t reserved[3];
} svdit_plan_info;

/* Compiles desc for backend; the caller destroys it before the backend. Kernels are loaded here, never later. */
SVDIT_API svdit_status svdit_plan_create(svdit_backend *backend, const svdit_plan_desc *desc, svdit_plan **plan,
                                         svdit_error *error);

/* NULL is allowed. */
SVDIT_API void svdit_plan_destroy(svdit_plan *plan);

SVDIT_API svdit_status svdit_plan_describe(const svdit_plan *plan, svdit_plan_info *info, svdit_error *error);

/* Writes, per head, the group it belongs to (0 <= group < groups). */
SVDIT_API svdit_status svdit_plan_groups(const svdit_plan *plan, int32_t *group_of_head, svdit_error *error);

/* Writes, per head, visible (query, key) pairs / (query tokens x valid keys), for text_valid valid text keys
   (-1: all). */
SVDIT_API svdit_status svdit_plan_density(const svdit_plan *plan, int32_t text_valid, double *density_of_head,
                                          svdit_error *error);

/* A range of consecutive visible keys, as positions: the text segment keeps its place, the video segment is lined
   up in the pattern's order. */
typedef struct svdit_run {
  int64_t begin, end;
} svdit_run;

/* Writes, ascending, the runs that query block query_block of head sees; *count is how many there are. At most
   capacity are written. What the kernels follow: for tests, tools and the curious. */
SVDIT_API svdit_status svdit_plan_runs(const svdit_plan *plan, int32_t head, int32_t query_block,
                                       int32_t text_valid, svdit_run *runs, int64_t capacity, int64_t *count,
                                       svdit_error *error);

/* Workspace svdit_attention needs for this plan and batch size; 0 where none is needed. */
SVDIT_API svdit_status svdit_plan_workspace(const svdit_plan *plan, int32_t batch, uint64_t *bytes,
                                            svdit_error *error);

/* ---- attention ------------------------------------------------------------------------------- */

/* A [batch, heads, tokens, head_dim] tensor by element strides, so [B,H,S,D] and [B,S,H,D] are both at home; the
   head dim is contiguous. On CUDA the address and the strides are multiples of 16 bytes. */
typedef struct svdit_tensor {
  void *data;
  uint64_t extent_bytes; /* bytes readable (writable) from data; every element must lie inside */
  int64_t stride_batch, stride_head, stride_token; /* in elements, >= 0 */
} svdit_tensor;

/* svdit_attention_args.launches, on CUDA: one launch over all heads, or one for each group. CHOSEN takes what was
   measured to be faster (svdit_plan_tune), and TOGETHER where nothing was. The result is the same. */
enum { SVDIT_LAUNCHES_CHOSEN = 0, SVDIT_LAUNCHES_TOGETHER = 1, SVDIT_LAUNCHES_APART = 2 };

typedef struct svdit_attention_args {
  uint32_t struct_bytes;
  int32_t batch;            /* >= 1 */
  svdit_tensor q, k, v;     /* read */
  svdit_tensor out;         /* written; overlaps none of q, k, v */
  float *lse;               /* NULL, or contiguous [batch, heads, query tokens]: natural-log softmax denominators */
  uint64_t lse_bytes;       /* extent of lse */
  const int32_t *text_valid; /* NULL: all text keys are valid; else one count per batch row (device memory on CUDA).
                                Text keys past it are never read; as queries they are ordinary */
  float scale;              /* of q.k; 0 = 1/sqrt(head_dim) */
  int32_t head_begin, head_end; /* heads to compute; 0, 0 = all. Others are left as they are */
  int32_t query_block_begin, query_block_end; /* query blocks to compute; 0, 0 = all */
  uint32_t launches;        /* SVDIT_LAUNCHES_* */
  void *workspace;          /* svdit_plan_workspace bytes, of the caller's, a multiple of 16 bytes; one call at a time may
                               use it */
  uint64_t workspace_bytes;
  const int32_t *cancelled; /* NULL, or host memory that another thread may set to other than 0 while the call runs: it then
                               ends before its next query block with CANCELLED, and out and lse are undefined. CPU only:
                               UNSUPPORTED on CUDA */
  uint64_t reserved[3];
} svdit_attention_args;

/*
 * softmax(q k^T scale) v over the keys each head's pattern shows (paper Eq. 1 restricted to visible blocks),
 * accumulated in fp32. A row that sees no key gives 0 and LSE -inf. Allocates nothing; on CUDA does not
 * synchronise and may be captured in a graph; may be called from many threads, with a workspace each.
 *
 * An E4M3 plan rounds q, k and v to e4m3 (nearest, ties to even) before it multiplies. 64 consecutive tokens of a segment,
 * as the head's order lines them up, share a scale: the least power of two, from 2^-60 on, under which their largest
 * |element| is at most 448. Text keys past the valid ones have no part in it. The weights are rounded to e4m3 on CUDA, to
 * bf16 on the CPU; sums are fp32, out is BF16. On CUDA it takes compute capability 9.0. For 64 tokens that hold an infinity
 * or NaN nothing is promised.
 */
SVDIT_API svdit_status svdit_attention(const svdit_plan *plan, const svdit_attention_args *args,
                                       svdit_stream stream, svdit_error *error);

/*
 * Measures the call both ways, one launch and one for each group, and has this plan use the faster from now on; other
 * plans of the same kernel and device, where they were not measured themselves, what a fit to the measurements
 * predicts. out and lse are written. Blocks; some fifteen calls long. Does nothing where there is nothing to choose: on
 * the CPU, and for one group. times may be NULL; else the milliseconds of a call as one launch, and as several (0, 0 if
 * nothing was measured).
 */
SVDIT_API svdit_status svdit_plan_tune(const svdit_plan *plan, const svdit_attention_args *args, svdit_stream stream,
                                       float times[2], svdit_error *error);

/* ---- the search's pass ----------------------------------------------------------------------- */

/* In which order a sweep adds video key blocks. */
enum {
  SVDIT_SWEEP_DISTANCE = 0, /* by token distance to the query block; stops are windows */
  SVDIT_SWEEP_RANKED = 1    /* as listed in `first`, per head; stops count listed blocks */
};

/*
 * One pass of online softmax over all keys for sampled query blocks, adding key blocks in a chosen order: first
 * the valid text keys, then the head's `first` blocks, then (DISTANCE) the rest by distance. The normalised
 * output as each stop is reached is what the pattern with that window (that many stripes) would have given, so one
 * dense pass scores every window of a mode. After the last stop the pass goes on to all keys: O_0.
 */
typedef struct svdit_sweep_args {
  uint32_t struct_bytes;
  int32_t batch;
  svdit_tensor q, k, v;
  const int32_t *text_valid; /* as in svdit_attention_args, but in host memory, as all arrays here are */
  float scale;
  uint32_t rule;                  /* SVDIT_SWEEP_* */
  uint32_t order;                 /* SVDIT_ORDER_* the blocks are cut in */
  int32_t tile_t, tile_h, tile_w; /* TILE_MAJOR; else 0 */
  int32_t head_begin, head_end;   /* heads to sweep; 0, 0 = all. H below is their number */
  int32_t query_block_count;      /* N below, >= 1 */
  int32_t stop_count;             /* T below, >= 0 */
  const int32_t *query_blocks;    /* [N]: video blocks in `order`, then text blocks, as in svdit_plan_info */
  const int64_t *stops;           /* [T], strictly ascending: windows in tokens, or numbers of listed blocks */
  const int32_t *first;           /* NULL, or blocks of all heads, head after head; no block twice in a head */
  const int64_t *first_offsets;   /* NULL, or [H + 1] into first */
  const float *gram;              /* NULL (identity), or [H, D, D]: W_O,h W_O,h^T, so that the errors are those of
                                     the projected output */
  double *error;                  /* [batch, H, N, T]: sum over the block's rows of |(O_stop - O_0) W|^2; text query
                                     blocks see all keys at every stop, so theirs is 0 */
  double *norm;                   /* [batch, H, N]: sum over the block's rows of |O_0 W|^2: what SKIP loses */
  float *reference;               /* NULL, or [batch, H, N, block, D]: O_0; rows past a short block's end are 0 */
  double *mass;                   /* NULL, or [batch, H, N, video blocks]: attention mass the block's rows put on each
                                     video key block */
  void *workspace;                /* svdit_sweep_workspace bytes, of the caller's, where the backend computes; one call
                                     at a time may use it */
  uint64_t workspace_bytes;
  uint64_t reserved[2];
} svdit_sweep_args;

/* Workspace svdit_sweep needs for these arguments, checked as there but for their own workspace; 0 where none is needed. */
SVDIT_API svdit_status svdit_sweep_workspace(const svdit_plan *plan, const svdit_sweep_args *args, uint64_t *bytes,
                                             svdit_error *error);

/* Runs the sweep on the sequence, block size, head count, head dim and element type of plan (BF16 where that is E4M3);
   its patterns are not looked at. q, k, v and the workspace lie where the backend computes; arrays are host memory.
   Waits for what stream holds, and blocks until done. The same arguments give the same bits again on the same device. */
SVDIT_API svdit_status svdit_sweep(const svdit_plan *plan, const svdit_sweep_args *args, svdit_stream stream,
                                   svdit_error *error);

/* ---- a denoiser's other operations ----------------------------------------------------------- */

/* A [rows, columns] matrix: rows row_stride elements apart, columns contiguous. */
typedef struct svdit_matrix {
  void *data;
  uint64_t extent_bytes;
  int64_t rows, columns, row_stride;
  uint32_t element_type; /* SVDIT_BF16, FP16, FP32 */
  uint32_t reserved;
} svdit_matrix;

/* Loads the library that multiplies matrices: oneDNN 3 (CPU), cuBLASLt 13 (CUDA). path names the shared object,
   as dlopen takes it; on CUDA "" is libcublasLt.so.13, wherever the system finds it. A second call with a backend that
   has one is refused; UNAVAILABLE says what is missing. */
SVDIT_API svdit_status svdit_matmul_library(svdit_backend *backend, const char *path, svdit_error *error);

/* svdit_linear_args.activation */
enum {
  SVDIT_ACTIVATION_NONE = 0,
  SVDIT_ACTIVATION_GELU_TANH = 1,
  SVDIT_ACTIVATION_SILU = 2,
  SVDIT_ACTIVATION_GELU_ERF = 3,  /* svdit_convert only */
  SVDIT_ACTIVATION_QUICK_GELU = 4 /* x sigmoid(1.702 x); svdit_convert only */
};

/* y = activation(x weight^T + bias), accumulated in fp32. x [n, in], weight [out, in] as stored in a checkpoint, y
   [n, out]. x and weight share a type (BF16 or FP32; on CUDA also FP16); y may be wider. FP32 products are fp32 all
   through, never TF32. On CUDA, products that may run at the same time (on several streams) need a workspace each. */
typedef struct svdit_linear_args {
  uint32_t struct_bytes;
  uint32_t activation;
  svdit_matrix x, weight, bias; /* bias: data NULL = none; else [1, out] */
  svdit_matrix y;
  void *workspace;          /* CUDA: device memory, a multiple of 256 bytes, better 32 MiB; NULL: the backend's own.
                               CPU: NULL */
  uint64_t workspace_bytes;
  uint64_t reserved[2];
} svdit_linear_args;
SVDIT_API svdit_status svdit_linear(svdit_backend *backend, const svdit_linear_args *args, svdit_stream stream,
                                    svdit_error *error);

/* svdit_norm_args.kind */
enum { SVDIT_NORM_LAYER = 0, SVDIT_NORM_RMS = 1 };

/*
 * Per row: n = (x - mean) / sqrt(var + eps) (LAYER) or x / sqrt(mean(x^2) + eps) (RMS), then
 * n * weight + bias where given, then n * (1 + scale) + shift where given, then the activation. The row is cut into
 * groups of group_columns that are normalised apart (0: one group of all columns; the head dim for a norm per head, when weight and bias
 * are [1, group_columns]). Computed in fp32; y may be x.
 */
typedef struct svdit_norm_args {
  uint32_t struct_bytes;
  uint32_t kind;
  svdit_matrix x, y;
  svdit_matrix weight, bias; /* data NULL = none; else [1, group_columns or columns] */
  svdit_matrix scale, shift; /* data NULL = none; else FP32 [1, columns] */
  int64_t group_columns;
  float epsilon;
  uint32_t activation; /* of the result: NONE or SILU */
  uint64_t reserved[4];
} svdit_norm_args;
SVDIT_API svdit_status svdit_norm(svdit_backend *backend, const svdit_norm_args *args, svdit_stream stream,
                                  svdit_error *error);

/* Which of a head's numbers are a pair: 2 i and 2 i + 1, or i and i + head_dim / 2. */
enum { SVDIT_PAIRS_INTERLEAVED = 0, SVDIT_PAIRS_HALVES = 1 };

/* Rotary position embedding in place on x [tokens, heads * head_dim]: pairs (a, b) become (a cos - b sin, b cos + a
   sin), with cosine and sine FP32 [tokens, head_dim / 2], the same for every head. */
typedef struct svdit_rope_args {
  uint32_t struct_bytes;
  int32_t head_dim;
  svdit_matrix x;
  svdit_matrix cosine, sine;
  uint32_t pairs; /* SVDIT_PAIRS_*; of svdit_norm_rope: INTERLEAVED */
  uint32_t reserved0;
  uint64_t reserved[3];
} svdit_rope_args;
SVDIT_API svdit_status svdit_rope(svdit_backend *backend, const svdit_rope_args *args, svdit_stream stream,
                                  svdit_error *error);

/* y += gate * x, rows alike; gate FP32 [1, columns], data NULL = 1. y FP32, or of x's type. */
typedef struct svdit_residual_args {
  uint32_t struct_bytes;
  uint32_t reserved0;
  svdit_matrix x, gate, y;
  uint64_t reserved[4];
} svdit_residual_args;
SVDIT_API svdit_status svdit_residual(svdit_backend *backend, const svdit_residual_args *args,
                                      svdit_stream stream, svdit_error *error);

/*
 * Two operations, as if one after the other; on CUDA in one pass over memory, where intermediate results are not
 * rounded. residual_norm: y += gate * x, then the norm of it: norm->x is residual->y, and norm->y is residual->x or apart
 * from it. norm_rope: the norm, then the rotation of all or consecutive rows of it: rope->x is rows of norm->y.
 */
SVDIT_API svdit_status svdit_residual_norm(svdit_backend *backend, const svdit_residual_args *residual,
                                           const svdit_norm_args *norm, svdit_stream stream, svdit_error *error);
SVDIT_API svdit_status svdit_norm_rope(svdit_backend *backend, const svdit_norm_args *norm,
                                       const svdit_rope_args *rope, svdit_stream stream, svdit_error *error);

/* y = activation(x), converted to y's element type; ACTIVATION_NONE just converts. y may be x where the types agree. */
typedef struct svdit_convert_args {
  uint32_t struct_bytes;
  uint32_t activation;
  svdit_matrix x, y;
  uint64_t reserved[4];
} svdit_convert_args;
SVDIT_API svdit_status svdit_convert(svdit_backend *backend, const svdit_convert_args *args, svdit_stream stream,
                                     svdit_error *error);

/* ---- a video autoencoder's operations -------------------------------------------------------- */

/* A clip is a matrix [frames * height * width, channels]: a row for each pixel, in order of frame, row and column. */

/* What lies beyond a clip's edge: zeros, or the nearest pixel once more. */
enum { SVDIT_PAD_ZERO = 0, SVDIT_PAD_REPLICATE = 1 };

/* How often each frame of x is seen. TWICE_BUT_FIRST: 1 + 2 (frames - 1) frames. */
enum { SVDIT_FRAMES_ONCE = 0, SVDIT_FRAMES_TWICE = 1, SVDIT_FRAMES_TWICE_BUT_FIRST = 2 };

/*
 * y = convolution of x with weight, plus bias, accumulated in fp32. What the kernel slides over is x with every pixel
 * `repeat` times in height and width and its frames as `repeat_frames` says (nearest upsampling, which is never stored),
 * after it was padded: by pad_top, pad_bottom, pad_left and pad_right as `padding` says, and in time by pad_frames frames
 * before the first one as `padding_frames` says. Nothing follows the last frame. Frames that are kept from an earlier
 * call, `earlier` and then `before`, lie between that padding and x; only with FRAMES_ONCE.
 * y is the clip of as many frames, rows and columns as the kernel has places, stride apart.
 */
typedef struct svdit_conv_args {
  uint32_t struct_bytes;
  uint32_t padding;        /* SVDIT_PAD_*: of height and width */
  svdit_matrix x;          /* clip; BF16 or FP32, on CUDA also FP16 */
  svdit_matrix earlier;    /* data NULL = none; else one frame of x's type: the one before `before` */
  svdit_matrix before;     /* data NULL = none; else one frame of x's type: the one before x */
  svdit_matrix weight;     /* [out, kernel_height * kernel_width * kernel_frames * in] of x's type: for each row, column
                              and frame of the kernel, in this order, all inputs */
  svdit_matrix bias;       /* data NULL = none; else [1, out], FP32 or of x's type */
  svdit_matrix y;          /* of x's type or FP32; overlaps nothing else */
  int32_t frames, height, width; /* of x */
  int32_t kernel_frames, kernel_height, kernel_width;
  int32_t stride_frames, stride_height, stride_width;
  int32_t pad_frames, pad_top, pad_bottom, pad_left, pad_right;
  int32_t repeat;          /* 1 or 2 */
  uint32_t repeat_frames;  /* SVDIT_FRAMES_* */
  uint32_t padding_frames; /* SVDIT_PAD_* */
  uint32_t reserved0;
  void *workspace;         /* CUDA: device memory, a multiple of 256 bytes that holds 128 rows of weight;
                              better 64 MiB. CPU: NULL */
  uint64_t workspace_bytes;
  uint64_t reserved[2];
} svdit_conv_args;
SVDIT_API svdit_status svdit_conv(svdit_backend *backend, const svdit_conv_args *args, svdit_stream stream,
                                  svdit_error *error);

/*
 * y = activation(n scale + shift), where n is x normalised over all rows and the channels of a group, less its mean and
 * divided by sqrt(variance + epsilon), times weight, plus bias. Statistics are fp32, of deviations. scale and shift are
 * clips of map_frames x map_height x map_width, whose nearest pixel counts: column w of x takes column w * map_width / width,
 * rows and frames likewise; but where x has an odd number of frames, more than one, its first takes the map's first and
 * the others are spread over the others. y may be x.
 */
typedef struct svdit_group_norm_args {
  uint32_t struct_bytes;
  uint32_t activation;       /* NONE or SILU */
  svdit_matrix x, y;         /* clips */
  svdit_matrix weight, bias; /* data NULL = none; else [1, channels] */
  svdit_matrix scale, shift; /* data NULL = neither; else both, of one element type */
  int32_t groups;            /* divides the channels */
  float epsilon;
  int32_t frames, height, width;             /* of x; used with scale and shift, else 0 */
  int32_t map_frames, map_height, map_width; /* of scale and shift, else 0 */
  void *workspace;           /* CUDA: device memory, a multiple of 256 bytes, at least 1 MiB. CPU: NULL */
  uint64_t workspace_bytes;
  uint64_t reserved[2];
} svdit_group_norm_args;
SVDIT_API svdit_status svdit_group_norm(svdit_backend *backend, const svdit_group_norm_args *args,
                                        svdit_stream stream, svdit_error *error);

/*
 * y += x, whose channels are dealt out to several pixels of several frames: pixel (t, h, w) of x gives pixel
 * (factor_frames t + a, factor h + b, factor w + c) of y, whose channel o is x's channel
 * (((o factor_frames + a) factor + b) factor + c) in / (out factor_frames factor factor), rounded down. y begins with the frame
 * `first` of those, and has as many of them as it has rows for. Wan 2.2's shortcut around an upsampling (diffusers: DupUp3D).
 */
typedef struct svdit_spread_args {
  uint32_t struct_bytes;
  int32_t frames, height, width; /* of x */
  svdit_matrix x, y;             /* clips; y FP32 or of x's type */
  int32_t factor_frames, factor; /* 1 or 2 each; out * their product is a multiple of in */
  int32_t first;                 /* 0 <= first < factor_frames */
  uint32_t reserved0;
  uint64_t reserved[4];
} svdit_spread_args;
SVDIT_API svdit_status svdit_spread(svdit_backend *backend, const svdit_spread_args *args, svdit_stream stream,
                                    svdit_error *error);

/* ---- attention with a bias, from products: what text encoders and autoencoders need ---------- */

/*
 * y = the softmax of each row of scale * x + bias over the columns that the row sees, 0 in the others. All rows see the
 * first valid columns; with group > 0 row r sees of those only the columns below ((first_row + r) / group + 1) * group:
 * group 1 is causal, a larger one lets the rows of a group see each other. Computed in fp32; y may be x where their
 * types agree.
 */
typedef struct svdit_softmax_args {
  uint32_t struct_bytes;
  float scale;
  svdit_matrix x;
  svdit_matrix bias; /* data NULL = none; else FP32, of x's shape */
  svdit_matrix y;    /* of x's shape */
  int64_t valid;     /* 1 to columns */
  int64_t first_row; /* of x among all rows; 0 with group 0 */
  int64_t group;     /* 0 = every row sees all valid columns */
  uint64_t reserved[4];
} svdit_softmax_args;
SVDIT_API svdit_status svdit_softmax(svdit_backend *backend, const svdit_softmax_args *args, svdit_stream stream,
                                     svdit_error *error);

/* y = a * b, element by element; all of one shape. y may be a or b where their types agree. */
typedef struct svdit_multiply_args {
  uint32_t struct_bytes;
  uint32_t reserved0;
  svdit_matrix a, b, y;
  uint64_t reserved[4];
} svdit_multiply_args;
SVDIT_API svdit_status svdit_multiply(svdit_backend *backend, const svdit_multiply_args *args, svdit_stream stream,
                                      svdit_error *error);

/* y [columns, rows] = x [rows, columns] transposed; of one type, and apart. */
typedef struct svdit_transpose_args {
  uint32_t struct_bytes;
  uint32_t reserved0;
  svdit_matrix x, y;
  uint64_t reserved[4];
} svdit_transpose_args;
SVDIT_API svdit_status svdit_transpose(svdit_backend *backend, const svdit_transpose_args *args, svdit_stream stream,
                                       svdit_error *error);

#ifdef __cplusplus
}
#endif

#endif
