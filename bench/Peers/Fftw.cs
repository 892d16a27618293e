using System.Runtime.InteropServices;

namespace EmbeddingKernels.Bench;

/// <summary>FFTW in single precision, if this machine has it: transforms of real grids by plans that it measured.</summary>
internal sealed unsafe class Fftw
{
    private const uint Measure = 0;

    private readonly nint _library;
    private readonly delegate* unmanaged<int, void> _setThreads;

    private Fftw(nint library, nint threads)
    {
        _library = library;
        if (threads != 0)
        {
            ((delegate* unmanaged<int>)NativeLibrary.GetExport(threads, "fftwf_init_threads"))();
            _setThreads = (delegate* unmanaged<int, void>)NativeLibrary.GetExport(threads, "fftwf_plan_with_nthreads");
        }

        // A text, not a function: "fftw-3.3.10-sse2-avx".
        string[] version = (Marshal.PtrToStringUTF8(NativeLibrary.GetExport(library, "fftwf_version")) ?? "").Split('-');
        Name = version.Length > 1 ? $"FFTW {version[1]}" : "FFTW";
    }

    /// <summary>How to bring it in.</summary>
    public static string Missing => "FFTW: not found; `apt-get install libfftw3-single3`";

    public string Name { get; }

    /// <summary>The library, or null.</summary>
    public static Fftw? TryLoad() =>
        PeerLibrary.Find(null, ["libfftw3f.so.3", "libfftw3f.3.dylib", "libfftw3f-3.dll"], "fftwf_plan_dft_r2c_2d") is not 0 and nint library
            ? new(library, PeerLibrary.Find(null, ["libfftw3f_threads.so.3", "libfftw3f_threads.3.dylib", "libfftw3f-3.dll"], "fftwf_init_threads"))
            : null;

    /// <summary>
    /// Plans of a real grid and its spectrum, rows x (columns / 2 + 1) complex numbers; the way back destroys the spectrum and
    /// does not divide. Planning overwrites all that it is given.
    /// </summary>
    public Transform Plan(int rows, int columns, int threads, float* grid, float* spectrum, float* back)
    {
        if (_setThreads is not null)
            _setThreads(threads);
        var forward = (delegate* unmanaged<int, int, float*, float*, uint, nint>)NativeLibrary.GetExport(_library, "fftwf_plan_dft_r2c_2d");
        var backward = (delegate* unmanaged<int, int, float*, float*, uint, nint>)NativeLibrary.GetExport(_library, "fftwf_plan_dft_c2r_2d");
        return new(_library, forward(rows, columns, grid, spectrum, Measure), backward(rows, columns, spectrum, back, Measure));
    }

    /// <summary>Plans for one size and its arrays.</summary>
    internal sealed class Transform(nint library, nint forward, nint backward) : IDisposable
    {
        private readonly delegate* unmanaged<nint, void> _execute = (delegate* unmanaged<nint, void>)NativeLibrary.GetExport(library, "fftwf_execute");

        public void Forward() => _execute(forward);

        public void Backward() => _execute(backward);

        public void Dispose()
        {
            var destroy = (delegate* unmanaged<nint, void>)NativeLibrary.GetExport(library, "fftwf_destroy_plan");
            destroy(forward);
            destroy(backward);
        }
    }
}
