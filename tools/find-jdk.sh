# Sets JDK to a Java home of at least version 22, or leaves it empty: JAVA_HOME where that is new enough, else the
# newest installed in a usual place. Sourced by the Makefile and copied into bin/svdit.
#
# The version is read from the "release" file beside each home, so that nothing is started to look.
SVDIT_JAVA_MINIMUM=22

# Major version of the Java home $1; 0 where it is none. $2 names the program it must have.
svdit_java_major() {
  [ -x "$1/bin/$2" ] && [ -f "$1/release" ] || { echo 0; return; }
  svdit_version=$(sed -n 's/^JAVA_VERSION="\{0,1\}\([0-9][0-9]*\).*/\1/p' "$1/release" | head -n 1)
  echo "${svdit_version:-0}"
}

# $1: java (to run) or javac (to build).
svdit_find_jdk() {
  JDK=
  if [ -n "${JAVA_HOME:-}" ] &&
    [ "$(svdit_java_major "$JAVA_HOME" "$1")" -ge "$SVDIT_JAVA_MINIMUM" ]; then
    JDK=$JAVA_HOME
    return
  fi
  svdit_best=$((SVDIT_JAVA_MINIMUM - 1))
  svdit_on_path=$(readlink -f "$(command -v "$1" 2>/dev/null)" 2>/dev/null)
  for svdit_home in "${svdit_on_path%/bin/*}" /usr/lib/jvm/* /usr/java/* /usr/local/java/* \
    /usr/local/*jdk* /opt/* /opt/java/* /opt/jdk/* "$HOME"/.sdkman/candidates/java/* \
    "$HOME"/.jdks/* "$HOME"/.jenv/versions/* "$HOME"/.asdf/installs/java/* \
    "$HOME"/.local/share/mise/installs/java/* /Library/Java/JavaVirtualMachines/*/Contents/Home; do
    svdit_major=$(svdit_java_major "$svdit_home" "$1")
    if [ "$svdit_major" -gt "$svdit_best" ]; then
      svdit_best=$svdit_major
      JDK=$svdit_home
    fi
  done
}
