package io.github.sparsevdit.model.text;

/**
 * A text as numbers.
 *
 * @param ids padded on the right to the tokenizer's length
 * @param valid how many of them are the text's, special tokens included; the mask is 1 for these
 */
public record Tokens(int[] ids, int valid) {}
