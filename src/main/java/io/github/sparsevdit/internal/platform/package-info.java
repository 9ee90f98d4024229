/** What the jars of native code see of this module. */
package io.github.sparsevdit.internal.platform;
