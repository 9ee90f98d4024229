package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import io.github.sparsevdit.Backend;
import org.junit.jupiter.api.Test;

class DoctorCommandTest {
  @Test
  void everythingFoundIsTold() throws Exception {
    Run run = Run.svdit("doctor", "--json");
    assertEquals(0, run.code(), run.err());
    JsonNode found = new ObjectMapper().readTree(run.out());
    assertEquals(Backend.library().headerHash(), found.at("/native library/header").asText());
    assertEquals(Backend.probe(Backend.Kind.CPU, 0).threads(), found.at("/cpu/threads").asInt());
    assertEquals("available", found.at("/cpu/tier portable").asText());
    assertTrue(found.at("/matrix products/oneDNN").asText().contains("dnnl"), run.out());
    assertTrue(found.at("/limits/Java heap").asText().startsWith("at most "), run.out());
    assertTrue(found.path("chosen").asText().contains(": "), run.out());
    assertTrue(
        found.at("/cuda/device 0").isTextual() || found.at("/cuda/not used").isTextual(),
        "a CUDA device, or why there is none");
  }

  @Test
  void peopleGetLines() {
    Run run = Run.svdit("doctor");
    assertTrue(run.out().startsWith("java\n  version "), run.out());
    assertTrue(run.out().contains("\nchosen: "), run.out());
    assertEquals("", run.err());
  }
}
