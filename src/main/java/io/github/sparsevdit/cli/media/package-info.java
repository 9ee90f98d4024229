/** Writes what a run leaves behind: videos (GIF, MP4), contact sheets and other pictures. */
package io.github.sparsevdit.cli.media;
