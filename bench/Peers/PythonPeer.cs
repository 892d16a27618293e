using System.Diagnostics;
using System.Globalization;

namespace EmbeddingKernels.Bench;

/// <summary>
/// A Python process that stays for the whole comparison: it reads one command a line, does it, and answers with one line.
/// It times its calls itself, so neither its start nor the pipe counts.
/// </summary>
internal sealed class PythonPeer : IDisposable
{
    private const string Script = """
        import ctypes, sys, time, numpy
        if sys.argv[1] == "faiss":
            import faiss
            print("FAISS", faiss.__version__, flush=True)
        else:
            faiss = None
            print("numpy", numpy.__version__, flush=True)

        state = {}

        def threads(count):
            # FAISS and numpy take their products from OpenBLAS, which has threads of its own.
            try:
                ctypes.CDLL("libopenblas.so.0").openblas_set_num_threads(int(count))
            except (OSError, AttributeError):
                pass
            if faiss:
                faiss.omp_set_num_threads(int(count))

        def matrix(file, rows):
            values = numpy.memmap(file, dtype=numpy.float32, mode="r")
            return values.reshape(int(rows), -1)

        def data(rows, file):
            x = matrix(file, rows)
            state["index"] = None
            state["index"] = faiss.IndexFlat(x.shape[1], faiss.METRIC_L2)
            state["index"].add(x)

        def queries(rows, file):
            state["queries"] = numpy.array(matrix(file, rows))

        def timed(calls, work):
            wall, cpu = time.perf_counter(), time.process_time()
            for _ in range(int(calls)):
                work()
            return time.perf_counter() - wall, time.process_time() - cpu

        def search(metric, count, k, calls):
            q, index = state["queries"][:int(count)], state["index"]
            index.metric_type = faiss.METRIC_L2 if metric == "L2" else faiss.METRIC_INNER_PRODUCT
            def work():
                state["ids"] = index.search(q, int(k))[1]
            return timed(calls, work)

        def ids(file):
            state["ids"].astype(numpy.int64).tofile(file)

        def product(m, n, k, transpose_a, transpose_b, calls):
            shape = m, n, k, transpose_a, transpose_b
            if state.get("shape") != shape:
                m, n, k = int(m), int(n), int(k)
                a = numpy.random.rand(*((k, m) if transpose_a == "T" else (m, k))).astype(numpy.float32)
                b = numpy.random.rand(*((n, k) if transpose_b == "T" else (k, n))).astype(numpy.float32)
                state.update(shape=shape, a=a.T if transpose_a == "T" else a, b=b.T if transpose_b == "T" else b, c=numpy.empty((m, n), numpy.float32))
            return timed(calls, lambda: numpy.matmul(state["a"], state["b"], out=state["c"]))

        commands = {f.__name__: f for f in (threads, data, queries, search, ids, product)}
        for line in sys.stdin:
            try:
                name, *rest = line.split()
                if rest and rest[-1] == "FILE":
                    rest[-1] = sys.stdin.readline().rstrip("\n")
                answer = commands[name](*rest)
                print("ok", *(answer or ()), flush=True)
            except Exception as error:
                print("error", repr(error).replace("\n", " "), flush=True)
        """;

    private readonly Process _process;

    private PythonPeer(Process process, string name)
    {
        _process = process;
        Name = name;
    }

    /// <summary>The module and its version.</summary>
    public string Name { get; }

    /// <summary>A process with the module "faiss" or "numpy", or null and why not.</summary>
    public static PythonPeer? TryStart(string module, out string why)
    {
        if (Python.Find(module, out why) is not { } program)
            return null;
        Process process = Process.Start(new ProcessStartInfo(program, ["-c", Script, module])
        {
            RedirectStandardInput = true,
            RedirectStandardOutput = true,
        })!;
        if (process.StandardOutput.ReadLine() is { } name)
            return new(process, name);
        why = "it ended at once";
        process.Dispose();
        return null;
    }

    /// <summary>Sends a command and waits for the answer.</summary>
    /// <param name="command">A function of the script and its arguments.</param>
    /// <param name="file">The last argument where it is a file, which may have blanks in its name.</param>
    /// <exception cref="InvalidOperationException">The command failed or the process ended.</exception>
    public string[] Send(string command, string? file = null)
    {
        _process.StandardInput.WriteLine(file is null ? command : $"{command} FILE\n{file}");
        _process.StandardInput.Flush();
        string answer = _process.StandardOutput.ReadLine() ?? "the process ended";
        return answer.StartsWith("ok", StringComparison.Ordinal)
            ? answer.Split(' ', StringSplitOptions.RemoveEmptyEntries)[1..]
            : throw new InvalidOperationException($"{Name}, {command}: {answer}");
    }

    /// <summary>Sends a command that answers with wall and CPU seconds.</summary>
    public Seconds Time(string command)
    {
        string[] answer = Send(command);
        return new(double.Parse(answer[0], CultureInfo.InvariantCulture), double.Parse(answer[1], CultureInfo.InvariantCulture));
    }

    public void Dispose()
    {
        _process.StandardInput.Close();
        if (!_process.WaitForExit(5000))
            _process.Kill();
        _process.Dispose();
    }
}
