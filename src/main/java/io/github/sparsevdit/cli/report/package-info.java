/** What commands say of a run. */
package io.github.sparsevdit.cli.report;
