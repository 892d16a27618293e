namespace EmbeddingKernels;

/// <summary>A rectangle on a page, y downwards.</summary>
internal readonly record struct MapBox(double Left, double Top, double Right, double Bottom)
{
    public bool Overlaps(MapBox other) => Left < other.Right && other.Left < Right && Top < other.Bottom && other.Top < Bottom;

    public bool Contains(MapBox other) =>
        Left <= other.Left && other.Right <= Right && Top <= other.Top && other.Bottom <= Bottom;

    public MapBox Grow(double x, double y) => new(Left - x, Top - y, Right + x, Bottom + y);
}

/// <summary>
/// Puts labels on a page so that none overlaps another: greedily, in the order in which they are offered, each at the one of
/// a few free places around its point that hides the fewest dots. Boxes and dots are found through a grid of cells, so an
/// offer costs about as much as what lies close to it.
/// </summary>
internal sealed class LabelPlacement
{
    private const double CellWidth = 24;
    private const double CellHeight = 10;

    private readonly MapBox _frame;
    private readonly int _columns;
    private readonly int _rows;
    private readonly Dictionary<int, List<MapBox>> _occupied = [];
    private readonly Dictionary<int, List<(double X, double Y)>> _dots = [];

    /// <param name="frame">Where labels may stand.</param>
    /// <param name="dots">The centres of all dots, inside the frame.</param>
    public LabelPlacement(MapBox frame, IEnumerable<(double X, double Y)> dots)
    {
        _frame = frame;
        _columns = Math.Max(1, (int)Math.Ceiling((frame.Right - frame.Left) / CellWidth));
        _rows = Math.Max(1, (int)Math.Ceiling((frame.Bottom - frame.Top) / CellHeight));
        foreach ((double x, double y) in dots)
        {
            (int cx, int cy, _, _) = Cells(new MapBox(x, y, x, y));
            Add(_dots, cy * _columns + cx, (x, y));
        }
    }

    /// <summary>Finds a place for a label of the given size at a dot; false where all are taken.</summary>
    /// <param name="x">The dot's centre.</param>
    /// <param name="y">The dot's centre.</param>
    /// <param name="radius">The dot's radius; the box of the dot is kept free as well.</param>
    /// <param name="width">The text's width.</param>
    /// <param name="height">The text's height.</param>
    /// <param name="gap">Least space between two labels.</param>
    /// <param name="box">Where the text goes.</param>
    public bool TryPlace(double x, double y, double radius, double width, double height, double gap, out MapBox box)
    {
        double side = radius + 1.2;
        ReadOnlySpan<(double Left, double Top)> places =
        [
            (x + side, y - height / 2),
            (x - side - width, y - height / 2),
            (x - width / 2, y - side - height),
            (x - width / 2, y + side),
        ];
        box = default;
        MapBox dot = new(x - radius, y - radius, x + radius, y + radius);
        if (!_frame.Contains(dot) || !IsFree(dot))
            return false;

        int fewest = int.MaxValue;
        foreach ((double left, double top) in places)
        {
            MapBox place = new(left, top, left + width, top + height);
            if (!_frame.Contains(place) || !IsFree(place.Grow(gap, gap / 2)))
                continue;

            int hidden = CountDots(place);
            if (hidden < fewest)
                (fewest, box) = (hidden, place);
        }

        if (fewest == int.MaxValue)
            return false;

        Occupy(box);
        Occupy(dot);
        return true;
    }

    private int CountDots(MapBox box)
    {
        (int x0, int y0, int x1, int y1) = Cells(box);
        int count = 0;
        for (int cy = y0; cy <= y1; cy++)
        {
            for (int cx = x0; cx <= x1; cx++)
            {
                if (!_dots.TryGetValue(cy * _columns + cx, out List<(double X, double Y)>? dots))
                    continue;

                foreach ((double x, double y) in dots)
                    count += x > box.Left && x < box.Right && y > box.Top && y < box.Bottom ? 1 : 0;
            }
        }

        return count;
    }

    private bool IsFree(MapBox box)
    {
        (int x0, int y0, int x1, int y1) = Cells(box);
        for (int cy = y0; cy <= y1; cy++)
        {
            for (int cx = x0; cx <= x1; cx++)
            {
                if (!_occupied.TryGetValue(cy * _columns + cx, out List<MapBox>? boxes))
                    continue;

                foreach (MapBox other in boxes)
                {
                    if (other.Overlaps(box))
                        return false;
                }
            }
        }

        return true;
    }

    private void Occupy(MapBox box)
    {
        (int x0, int y0, int x1, int y1) = Cells(box);
        for (int cy = y0; cy <= y1; cy++)
        {
            for (int cx = x0; cx <= x1; cx++)
                Add(_occupied, cy * _columns + cx, box);
        }
    }

    private static void Add<T>(Dictionary<int, List<T>> cells, int cell, T item)
    {
        if (!cells.TryGetValue(cell, out List<T>? items))
            cells[cell] = items = [];
        items.Add(item);
    }

    private (int X0, int Y0, int X1, int Y1) Cells(MapBox box) => (
        Math.Clamp((int)((box.Left - _frame.Left) / CellWidth), 0, _columns - 1),
        Math.Clamp((int)((box.Top - _frame.Top) / CellHeight), 0, _rows - 1),
        Math.Clamp((int)((box.Right - _frame.Left) / CellWidth), 0, _columns - 1),
        Math.Clamp((int)((box.Bottom - _frame.Top) / CellHeight), 0, _rows - 1));
}
