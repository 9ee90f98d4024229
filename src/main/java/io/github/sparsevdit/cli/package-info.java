/**
 * The command line, {@code svdit}: one class per command. Results go to standard output and nothing
 * else does; progress goes to standard error. Exit codes: 0 done, 1 failed, 2 called wrongly.
 */
package io.github.sparsevdit.cli;
