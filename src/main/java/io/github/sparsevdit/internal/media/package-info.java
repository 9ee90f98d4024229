/** Files of videos: GIF by ImageIO, MP4 by JCodec. */
package io.github.sparsevdit.internal.media;
