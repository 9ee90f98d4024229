/** HunyuanVideo. */
package io.github.sparsevdit.model.hunyuan;
