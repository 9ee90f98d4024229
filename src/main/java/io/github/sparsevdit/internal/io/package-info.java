/** Files: written whole, digested, read as JSON, unpacked. */
package io.github.sparsevdit.internal.io;
