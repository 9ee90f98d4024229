package io.github.sparsevdit.cli;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.github.sparsevdit.Backend;
import io.github.sparsevdit.BackendUnavailableException;
import io.github.sparsevdit.SimulatedDevice;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/** Why CUDA cannot be used: each kind in its own words, in the exception and in svdit doctor. */
@Tag("cuda")
class CudaDoctorTest {
  @AfterEach
  void usual() {
    if (SimulatedDevice.present()) {
      SimulatedDevice.configure("");
    }
  }

  @ParameterizedTest
  @CsvSource(
      delimiter = '|',
      value = {
        "driver=0 | no NVIDIA driver: libcuda.so.1 was not found",
        "driver=12040 | the NVIDIA driver is too old: it supports CUDA 12.4",
        "devices=0 | the NVIDIA driver sees no CUDA device",
        "capability=75 | has compute capability 7.5, the kernels need 8.0",
        "kernels=0 | this library has no kernels that run on Simulated device 0",
      })
  void everyReasonIsTold(String device, String reason) {
    SimulatedDevice.configure(device);
    Exception refused =
        assertThrows(BackendUnavailableException.class, () -> Backend.cuda(0).close());
    assertTrue(refused.getMessage().contains(reason), refused.getMessage());
    Run doctor = Run.svdit("doctor");
    assertEquals(0, doctor.code());
    assertTrue(doctor.out().contains("not used"), doctor.out());
    assertTrue(doctor.out().contains(reason), doctor.out());
    try (Backend best = Backend.best()) {
      assertEquals(Backend.Kind.CPU, best.kind());
      assertTrue(best.describe().contains(reason), best.describe());
    }
  }

  @Test
  void theDoctorDescribesTheDevice() {
    Run doctor = Run.svdit("doctor");
    assertEquals(0, doctor.code());
    assertTrue(doctor.out().contains("compute capability"), doctor.out());
    // Found, or the places it was looked for.
    assertTrue(doctor.out().contains("cuBLASLt 13"), doctor.out());
    assertTrue(doctor.out().contains("chosen: CUDA device 0: "), doctor.out());
    Exception none =
        assertThrows(BackendUnavailableException.class, () -> Backend.cuda(99).close());
    assertTrue(none.getMessage().contains("device is 99, but CUDA sees"), none.getMessage());
  }
}
