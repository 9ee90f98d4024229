
# The launcher proper: runs the command line from the build's own folder, wherever it is called from.
here=$(dirname "$(readlink -f "$0")")
target=$here/../target
svdit_find_jdk java
if [ -z "$JDK" ]; then
  echo "svdit: no Java $SVDIT_JAVA_MINIMUM or newer found; install one (https://adoptium.net) or set JAVA_HOME to it" >&2
  exit 1
fi
jar=$target/sparse-vdit-@VERSION@
class_path=$jar.jar:$jar-linux-x86_64.jar:$jar-linux-x86_64-cuda13.jar:$jar-cases.jar:$target/lib/*
# In an ASCII locale (C, or one that is not installed) Java can name no file whose name is not ASCII.
case $(locale charmap 2> /dev/null || echo "${LC_ALL:-${LC_CTYPE:-${LANG:-C}}}") in
  ANSI_X3.4-1968 | C | POSIX) export LC_ALL=C.UTF-8 ;;
esac
# SVDIT_JAVA_OPTS: options for the virtual machine, such as -Xmx2g.
exec "$JDK/bin/java" --enable-native-access=ALL-UNNAMED -Dsvdit.home="$here/.." ${SVDIT_JAVA_OPTS:-} -cp "$class_path" \
  io.github.sparsevdit.cli.Main "$@"
