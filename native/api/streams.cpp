// Events and graphs.
#include "api/guard.h"
#include "backend/backend.h"

using namespace svdit;

namespace {

svdit_streams &streams_of(svdit_backend *backend) {
  require(backend, "backend");
  svdit_streams *const streams = backend->streams();
  if (streams == nullptr) {
    fail(SVDIT_UNSUPPORTED, "this backend has no events and graphs: its calls block until done");
  }
  return *streams;
}

void require_stream(svdit_stream stream) {
  if (stream == nullptr) {
    fail(SVDIT_INVALID_ARGUMENT, "stream is NULL: the legacy default stream cannot be captured");
  }
}

}  // namespace

svdit_status svdit_event_create(svdit_backend *backend, svdit_event *event, svdit_error *error) {
  return guarded(error, [&] {
    svdit_streams &streams = streams_of(backend);
    require(event, "event");
    *event = streams.create_event();
  });
}

svdit_status svdit_event_destroy(svdit_backend *backend, svdit_event event, svdit_error *error) {
  return guarded(error, [&] {
    svdit_streams &streams = streams_of(backend);
    if (event != nullptr) streams.destroy_event(event);
  });
}

svdit_status svdit_event_record(svdit_backend *backend, svdit_event event, svdit_stream stream,
                                svdit_error *error) {
  return guarded(error, [&] {
    svdit_streams &streams = streams_of(backend);
    require(event, "event");
    streams.record(event, stream);
  });
}

svdit_status svdit_event_query(svdit_backend *backend, svdit_event event, int32_t *done,
                               svdit_error *error) {
  return guarded(error, [&] {
    svdit_streams &streams = streams_of(backend);
    require(event, "event");
    require(done, "done");
    *done = streams.done(event);
  });
}

svdit_status svdit_event_synchronize(svdit_backend *backend, svdit_event event,
                                     svdit_error *error) {
  return guarded(error, [&] {
    svdit_streams &streams = streams_of(backend);
    require(event, "event");
    streams.synchronize_event(event);
  });
}

svdit_status svdit_event_elapsed(svdit_backend *backend, svdit_event begin, svdit_event end,
                                 float *milliseconds, svdit_error *error) {
  return guarded(error, [&] {
    svdit_streams &streams = streams_of(backend);
    require(begin, "begin");
    require(end, "end");
    require(milliseconds, "milliseconds");
    *milliseconds = streams.elapsed_ms(begin, end);
  });
}

svdit_status svdit_stream_wait(svdit_backend *backend, svdit_stream stream, svdit_event event,
                               svdit_error *error) {
  return guarded(error, [&] {
    svdit_streams &streams = streams_of(backend);
    require(event, "event");
    streams.wait(stream, event);
  });
}

svdit_status svdit_capture_begin(svdit_backend *backend, svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    svdit_streams &streams = streams_of(backend);
    require_stream(stream);
    streams.begin_capture(stream);
  });
}

svdit_status svdit_capture_end(svdit_backend *backend, svdit_stream stream, svdit_graph **graph,
                               svdit_error *error) {
  return guarded(error, [&] {
    svdit_streams &streams = streams_of(backend);
    require_stream(stream);
    std::unique_ptr<svdit_graph> made = streams.end_capture(stream, graph != nullptr);
    if (graph != nullptr) *graph = made.release();
  });
}

svdit_status svdit_graph_launch(svdit_graph *graph, svdit_stream stream, svdit_error *error) {
  return guarded(error, [&] {
    require(graph, "graph");
    graph->launch(stream);
  });
}

void svdit_graph_destroy(svdit_graph *graph) { delete graph; }
