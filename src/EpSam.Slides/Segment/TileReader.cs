// Reads a slide's tiles ahead of the models, on a thread of its own, in the order in which they are wanted; at most a
// few wait. What goes wrong there is thrown where the next tile is asked for.
using System.Collections.Concurrent;
using System.Runtime.ExceptionServices;
using EpSam.Native.Preprocess;

namespace EpSam.Slides.Segment;

/// <summary>A tile of the grid.</summary>
/// <param name="Column">From 0.</param>
/// <param name="Row">From 0.</param>
/// <param name="Tissue">Share of it that is tissue.</param>
internal readonly record struct TilePlace(int Column, int Row, double Tissue);

/// <summary>Pixels of tiles, in order. Disposing it waits for the thread.</summary>
internal sealed class TileReader : IDisposable
{
    readonly SlideView _view;
    readonly TileGrid _grid;
    readonly int _side;
    readonly bool _swapped;
    readonly BlockingCollection<TilePixels> _ready;
    readonly ConcurrentBag<TilePixels> _spare = [];
    readonly CancellationTokenSource _stop;
    readonly Thread _thread;
    Exception? _failed;

    /// <param name="view">The slide at the models' resolution.</param>
    /// <param name="grid">Its tiles.</param>
    /// <param name="wanted">Which of them, in order.</param>
    /// <param name="side">The side that the classifier sees.</param>
    /// <param name="swapped">Exchange red and blue.</param>
    /// <param name="ahead">Tiles that may wait.</param>
    /// <param name="cancel">Ends the thread.</param>
    public TileReader(SlideView view, TileGrid grid, IEnumerable<TilePlace> wanted, int side, bool swapped, int ahead,
        CancellationToken cancel)
    {
        (_view, _grid, _side, _swapped) = (view, grid, side, swapped);
        _ready = new(ahead);
        _stop = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        _thread = new Thread(() => ReadAll(wanted)) { IsBackground = true, Name = "tiles of a slide" };
        _thread.Start();
    }

    /// <summary>The next tile.</summary>
    /// <exception cref="EpSam.Imaging.ImagingException">The slide cannot be read there.</exception>
    public TilePixels Next()
    {
        if (_ready.TryTake(out TilePixels? tile, Timeout.Infinite, _stop.Token)) return tile;
        if (_failed is not null) ExceptionDispatchInfo.Throw(_failed);
        _stop.Token.ThrowIfCancellationRequested();
        throw new InvalidOperationException("more tiles were asked for than were wanted");
    }

    /// <summary>A tile that is done with: its memory is used again.</summary>
    public void Return(TilePixels tile) => _spare.Add(tile);

    /// <inheritdoc/>
    public void Dispose()
    {
        _stop.Cancel();
        _thread.Join();
        _ready.Dispose();
        _stop.Dispose();
    }

    void ReadAll(IEnumerable<TilePlace> wanted)
    {
        try
        {
            foreach (TilePlace place in wanted) _ready.Add(Read(place), _stop.Token);
        }
        catch (Exception e)
        {
            _failed = e is OperationCanceledException && _stop.IsCancellationRequested ? null : e;
        }
        finally
        {
            _ready.CompleteAdding();
        }
    }

    TilePixels Read(TilePlace place)
    {
        int tile = _grid.Tile;
        if (!_spare.TryTake(out TilePixels? pixels))
        {
            byte[] room = new byte[3 * tile * tile];
            pixels = new TilePixels(room, _side == tile ? room : new byte[3 * _side * _side]);
        }
        byte[] rgb = pixels.Rgb;
        _view.Read(_grid.Columns.Start(place.Column), _grid.Rows.Start(place.Row), tile, tile, rgb);
        if (_swapped)
            for (int i = 0; i < rgb.Length; i += 3) (rgb[i], rgb[i + 2]) = (rgb[i + 2], rgb[i]);
        // as patches are resized for training
        if (_side != tile) Resample.PillowBilinear(rgb, tile, tile, 3, _side, _side, pixels.Small);
        return pixels;
    }
}
