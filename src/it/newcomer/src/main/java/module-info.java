module newcomer {
  requires io.github.sparsevdit;
}
