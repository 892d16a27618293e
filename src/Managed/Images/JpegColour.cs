using System.Runtime.CompilerServices;

namespace EmbeddingKernels;

/// <summary>
/// From the planes of a JPEG picture to RGB. Chroma at half the width or height is interpolated with weights 3/4 and 1/4 and alternating
/// rounding, as libjpeg's "fancy" upsampling does; at other ratios samples are repeated. Colours are converted with 16 bits behind the
/// point (JFIF 1.02), CMYK as Pillow does.
/// </summary>
internal static class JpegColour
{
    private static readonly int[] RedOfCr = Table(1.40200, half: true);
    private static readonly int[] GreenOfCr = Table(-0.71414, half: false);
    private static readonly int[] GreenOfCb = Table(-0.34414, half: true);
    private static readonly int[] BlueOfCb = Table(1.77200, half: true);

    public enum Kind
    {
        Grey,
        YCbCr,
        Rgb,
        Cmyk,
        Ycck,
    }

    public static Picture Assemble(JpegFrame frame, Kind kind)
    {
        Picture picture = new(frame.Width, frame.Height);
        RowSource[] sources = [.. frame.Components.Select(c => new RowSource(frame, c))];
        for (int y = 0; y < frame.Height; y++)
        {
            ReadOnlySpan<byte> a = sources[0].Row(y), b = a, c = a, k = a;
            if (sources.Length > 1)
            {
                b = sources[1].Row(y);
                c = sources[2].Row(y);
                k = sources[^1].Row(y);
            }

            Span<byte> rgb = picture.Row(y);
            switch (kind)
            {
                case Kind.YCbCr:
                    FromYCbCr(a, b, c, rgb);
                    break;
                case Kind.Grey or Kind.Rgb:
                    for (int x = 0, i = 0; i + 2 < rgb.Length; x++, i += 3)
                        (rgb[i], rgb[i + 1], rgb[i + 2]) = (a[x], b[x], c[x]);
                    break;
                case Kind.Ycck:
                    FromYCbCr(a, b, c, rgb);
                    for (int x = 0, i = 0; i + 2 < rgb.Length; x++, i += 3)
                        Ink(rgb[i], rgb[i + 1], rgb[i + 2], k[x], rgb[i..]);
                    break;
                default:
                    for (int x = 0, i = 0; i + 2 < rgb.Length; x++, i += 3)
                        Ink((byte)~a[x], (byte)~b[x], (byte)~c[x], k[x], rgb[i..]);
                    break;
            }
        }

        return picture;
    }

    [MethodImpl(MethodImplOptions.AggressiveOptimization)]
    private static void FromYCbCr(ReadOnlySpan<byte> luma, ReadOnlySpan<byte> blue, ReadOnlySpan<byte> red, Span<byte> rgb)
    {
        int[] redOfCr = RedOfCr, greenOfCr = GreenOfCr, greenOfCb = GreenOfCb, blueOfCb = BlueOfCb;
        int width = rgb.Length / 3;
        luma = luma[..width];
        blue = blue[..width];
        red = red[..width];
        for (int x = 0, i = 0; x < luma.Length && i + 2 < rgb.Length; x++, i += 3)
        {
            int y = luma[x], cb = blue[x], cr = red[x];
            rgb[i + 2] = Clamp(y + (blueOfCb[cb] >> 16));
            rgb[i + 1] = Clamp(y + ((greenOfCb[cb] + greenOfCr[cr]) >> 16));
            rgb[i] = Clamp(y + (redOfCr[cr] >> 16));
        }
    }

    /// <summary>Files of four colours hold the complements of the inks, as Adobe's programs write them.</summary>
    private static void Ink(byte cyan, byte magenta, byte yellow, byte light, Span<byte> rgb)
    {
        rgb[2] = Lit(yellow);
        rgb[1] = Lit(magenta);
        rgb[0] = Lit(cyan);

        byte Lit(byte ink)
        {
            int product = ink * light + 128;
            return Clamp(light - ((product + (product >> 8)) >> 8));
        }
    }

    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static byte Clamp(int value) => (byte)Math.Clamp(value, 0, 255);

    private static int[] Table(double factor, bool half)
    {
        int[] table = new int[256];
        int scaled = (int)Math.Floor(Math.Abs(factor) * 65536 + 0.5) * Math.Sign(factor);
        for (int i = 0; i < 256; i++)
            table[i] = scaled * (i - 128) + (half ? 1 << 15 : 0);
        return table;
    }

    /// <summary>Rows of one component at the picture's full size.</summary>
    private sealed class RowSource
    {
        private readonly JpegComponent _component;
        private readonly int _across;
        private readonly int _down;
        private readonly bool _smoothAcross;
        private readonly bool _smoothDown;
        private readonly byte[] _row;
        private readonly int[] _sums;

        public RowSource(JpegFrame frame, JpegComponent component)
        {
            _component = component;
            _across = frame.MostHorizontal / component.Horizontal;
            _down = frame.MostVertical / component.Vertical;

            // libjpeg interpolates at these ratios only, and repeats samples where rows are too short for its loops.
            bool wide = component.Width > 2;
            _smoothAcross = _across == 2 && _down <= 2 && wide;
            _smoothDown = _down == 2 && (_across == 1 || _smoothAcross);
            _row = _across == 1 && !_smoothDown ? [] : new byte[component.Width * _across];
            _sums = _smoothDown ? new int[component.Width] : [];
        }

        /// <summary>Valid until the next call.</summary>
        public ReadOnlySpan<byte> Row(int y)
        {
            int inner = y / _down;
            ReadOnlySpan<byte> near = Plane(inner);
            if (!_smoothAcross && !_smoothDown)
            {
                if (_across == 1)
                    return near;
                for (int i = 0; i < near.Length; i++)
                    _row.AsSpan(i * _across, _across).Fill(near[i]);
                return _row;
            }

            if (!_smoothDown)
            {
                Across(near);
                return _row;
            }

            bool upper = (y & 1) == 0;
            ReadOnlySpan<byte> far = Plane(Math.Clamp(upper ? inner - 1 : inner + 1, 0, _component.Height - 1));
            if (_across == 1)
            {
                int round = upper ? 1 : 2;
                for (int i = 0; i < _row.Length; i++)
                    _row[i] = (byte)((3 * near[i] + far[i] + round) >> 2);
                return _row;
            }

            Both(near, far);
            return _row;
        }

        private ReadOnlySpan<byte> Plane(int y) => _component.Plane.AsSpan(y * _component.Stride, _component.Width);

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Across(ReadOnlySpan<byte> near)
        {
            Span<byte> row = _row;
            row[0] = near[0];
            for (int i = 0; i + 1 < near.Length; i++)
            {
                row[2 * i + 1] = (byte)((3 * near[i] + near[i + 1] + 2) >> 2);
                row[2 * i + 2] = (byte)((3 * near[i + 1] + near[i] + 1) >> 2);
            }

            row[^1] = near[^1];
        }

        [MethodImpl(MethodImplOptions.AggressiveOptimization)]
        private void Both(ReadOnlySpan<byte> near, ReadOnlySpan<byte> far)
        {
            Span<int> sums = _sums;
            for (int i = 0; i < sums.Length; i++)
                sums[i] = 3 * near[i] + far[i];
            Span<byte> row = _row;
            row[0] = (byte)((4 * sums[0] + 8) >> 4);
            for (int i = 0; i + 1 < sums.Length; i++)
            {
                row[2 * i + 1] = (byte)((3 * sums[i] + sums[i + 1] + 7) >> 4);
                row[2 * i + 2] = (byte)((3 * sums[i + 1] + sums[i] + 8) >> 4);
            }

            row[^1] = (byte)((4 * sums[^1] + 7) >> 4);
        }
    }
}
