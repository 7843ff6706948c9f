// The pixels of patches: read, cut out, resized. A small set is kept in memory, and an image that many patches are cut
// from is then decoded once; a large set is read again whenever a patch is wanted.
using System.Collections.Concurrent;
using EpSam.Native.Preprocess;

namespace EpSam.Native.Pipeline;

/// <summary>Patches as squares of RGB. May be called by several threads.</summary>
internal sealed class PatchImages
{
    const long MostBytes = 512L << 20;

    readonly PatchSet _data;
    readonly IImageFiles _files;
    readonly int _size;
    readonly bool _swapped;
    readonly long _most;
    readonly Dictionary<int, int[]> _ofImage;
    readonly Dictionary<int, Lock> _gates;
    readonly ConcurrentDictionary<int, byte[]> _kept = new();
    long _bytes;

    /// <param name="data">The data set.</param>
    /// <param name="patches">Which of its patches will be asked for.</param>
    /// <param name="files">Reads images.</param>
    /// <param name="size">Height and width that patches are resized to, as torchvision's Resize does.</param>
    /// <param name="swapped">Red and blue are exchanged on disk.</param>
    /// <param name="most">Bytes of patches to keep at most.</param>
    public PatchImages(PatchSet data, IEnumerable<int> patches, IImageFiles files, int size, bool swapped,
        long most = MostBytes)
    {
        (_data, _files, _size, _swapped, _most) = (data, files, size, swapped, most);
        _ofImage = patches.GroupBy(p => data.Patches[p].Image).ToDictionary(g => g.Key, g => g.ToArray());
        _gates = _ofImage.Keys.ToDictionary(image => image, _ => new Lock());
    }

    /// <summary>A patch (size, size, 3); not to be changed.</summary>
    /// <exception cref="ImageFileException">Its image cannot be read, or has no such part.</exception>
    public byte[] Read(int patch)
    {
        if (_kept.TryGetValue(patch, out byte[]? pixels)) return pixels;
        int image = _data.Patches[patch].Image;
        lock (_gates[image])
        {
            if (_kept.TryGetValue(patch, out pixels)) return pixels;
            SourceImage source = _data.Images[image];
            Picture picture = _files.ReadRgb(source.Path);
            foreach (int other in _ofImage[image])
                if (other != patch && HasRoom()) _kept[other] = Cut(picture, source, _data.Patches[other].Crop);
            pixels = Cut(picture, source, _data.Patches[patch].Crop);
            if (HasRoom()) _kept[patch] = pixels;
            return pixels;
        }
    }

    bool HasRoom()
    {
        long each = 3L * _size * _size;
        if (Interlocked.Add(ref _bytes, each) <= _most) return true;
        Interlocked.Add(ref _bytes, -each);
        return false;
    }

    byte[] Cut(Picture picture, SourceImage source, Crop? part)
    {
        Crop crop = part ?? new(0, 0, picture.Width, picture.Height);
        if (crop.X < 0 || crop.Y < 0 || crop.Width < 1 || crop.Height < 1
            || crop.X + (long)crop.Width > picture.Width || crop.Y + (long)crop.Height > picture.Height)
        {
            throw new ImageFileException($"{source.Path} has {picture.Width} x {picture.Height} pixels; the patch at "
                + $"{crop.X}, {crop.Y} of {crop.Width} x {crop.Height} is not inside: correct the list of patches");
        }
        byte[] cut = new byte[3 * crop.Width * crop.Height], resized = new byte[3 * _size * _size];
        for (int y = 0; y < crop.Height; y++)
        {
            picture.Pixels.AsSpan(3 * ((crop.Y + y) * picture.Width + crop.X), 3 * crop.Width)
                .CopyTo(cut.AsSpan(3 * y * crop.Width));
        }
        Resample.PillowBilinear(cut, crop.Height, crop.Width, 3, _size, _size, resized);
        if (!_swapped) return resized;
        for (int i = 0; i < resized.Length; i += 3) (resized[i], resized[i + 2]) = (resized[i + 2], resized[i]);
        return resized;
    }
}
