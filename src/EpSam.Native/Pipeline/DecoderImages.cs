// What the rounds of decoder training read: images, labels, activation maps. A label of round n is the pseudo mask that
// the last round before it kept; before any has, the initial mask.
namespace EpSam.Native.Pipeline;

/// <summary>The images and masks of a run's decoder stages.</summary>
internal sealed class DecoderImages(RunContext run)
{
    /// <summary>Images of a part that show a tumour and whose activation map has a mask.</summary>
    public SourceImage[] Positives(Split split)
    {
        List<SourceImage> images = [];
        int empty = 0;
        foreach (SourceImage image in run.Data.Of(split).Where(i => i.Label == 1))
        {
            if (!File.Exists(run.Folder.InitialMask(image.Name)))
            {
                throw new RunException($"image {image.Name} has no initial mask "
                    + $"({run.Folder.InitialMask(image.Name)}): run the stage that makes masks first");
            }
            if (run.Files.ReadGrey(run.Folder.InitialMask(image.Name)).Pixels.AsSpan().ContainsAnyExcept((byte)0))
                images.Add(image);
            else empty++;
        }
        if (empty > 0) run.Observer.Note($"{empty} images of {split} have an empty initial mask and are left out");
        return [.. images];
    }

    /// <summary>An image, RGB.</summary>
    public Picture Rgb(SourceImage image) => run.ReadRgb(image);

    /// <summary>The mask of an image's activation map, any value but 0 for set.</summary>
    public Picture InitialMask(SourceImage image) => Mask(run.Folder.InitialMask(image.Name), image);

    /// <summary>The activation map of an image as it is on the disk, much smaller.</summary>
    public Picture Cam(SourceImage image) => run.Files.ReadGrey(run.Folder.Cam(image.Name));

    /// <summary>The true mask of an image, 0 and 1.</summary>
    public Picture TrueMaskOf(SourceImage image)
    {
        (int height, int width) = run.Files.ReadSize(image.Path);
        bool normalIsTumour = run.Config.Compat.NormalIsTumour;
        return new Picture(TrueMask.Read(run.Files, image.MaskPath!, height, width, normalIsTumour), height, width, 1);
    }

    /// <summary>What a round learns from: the round whose masks are its labels (-1: initial), and the images.</summary>
    public (int Round, SourceImage[] Images) Labels(int round, SourceImage[] positives)
    {
        for (int before = round - 1; before >= 0; before--)
        {
            SourceImage[] kept =
                [.. positives.Where(i => File.Exists(run.Folder.PseudoMask(before, i.Name)))];
            if (kept.Length > 0) return (before, kept);
        }
        return (-1, positives);
    }

    /// <summary>An image's label, any value but 0 for set.</summary>
    public Picture Label(int round, SourceImage image) =>
        round < 0 ? InitialMask(image) : Mask(run.Folder.PseudoMask(round, image.Name), image);

    /// <summary>Points of an image drawn by its activation map, changed as the image is.</summary>
    public (int X, int Y)[] Points(SourceImage image, DecoderAugmentation change) =>
        CamPoints.Of(change.Image(Cam(image)), change.Mask(InitialMask(image)), run.Config.Decoder, image.Name);

    Picture Mask(string path, SourceImage image)
    {
        Picture mask = run.Files.ReadGrey(path);
        (int height, int width) = run.Files.ReadSize(image.Path);
        if ((mask.Height, mask.Width) == (height, width)) return mask;
        throw new RunException($"mask {path} has {mask.Width} x {mask.Height} pixels, its image {image.Path} has "
            + $"{width} x {height}: the image has changed since; run the stage that made the mask again");
    }
}
