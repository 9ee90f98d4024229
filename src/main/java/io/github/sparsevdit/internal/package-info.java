/** Library loading, handles and the way from a native status to an exception. Not exported. */
package io.github.sparsevdit.internal;
