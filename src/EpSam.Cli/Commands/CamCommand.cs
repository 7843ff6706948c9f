// epsam cam: where images show tumour, to a patch classifier that was trained on labels of whole patches. Each image
// gets a folder of its name:
//   map.png       the activation map, a sixteenth of the image's sides
//   mask.png      what the rule makes of it, of the image's size
//   overlay.png   the image with the map as colours and the mask's outline
using System.CommandLine;
using System.Globalization;
using EpSam.Imaging;
using EpSam.Native.Masks;
using EpSam.Native.Models.ResNet;

namespace EpSam.Cli.Commands;

internal static class CamCommand
{
    static readonly Argument<string[]> Images = new("IMAGE")
    {
        Arity = ArgumentArity.OneOrMore, Description = "PNG, JPEG, TIFF or WebP; a folder means its images",
    };
    static readonly Option<string> Out = new("--out")
    {
        HelpName = "DIR", Required = true, Description = "gets a folder for each image",
    };

    public static Command Create()
    {
        Command command = new("cam", "Show where images show tumour: a patch classifier's activation maps, and masks.")
        {
            Images, Out, SegmentCommand.Overwrite,
        };
        CamFlags.AddTo(command);
        ClassifierRun.AddTo(command);
        command.SetAction(Run);
        return command;
    }

    static int Run(ParseResult parsed)
    {
        CamFlags cam = CamFlags.Read(parsed, parsed.GetRequiredValue(ClassifierFlags.Required));
        InputImage[] images = ImageList.Of(parsed.GetRequiredValue(Images));
        string target = parsed.GetRequiredValue(Out);
        SamRun.RequireFree(target, images, parsed.GetValue(SegmentCommand.Overwrite));
        return ClassifierRun.Execute(parsed, images, 4, flags => flags with { Scale = cam.Scale },
            (run, image, pixels) =>
            {
                ActivationMap map = cam.MapOf(run.Classifier, pixels);
                run.Cancel.ThrowIfCancellationRequested();
                byte[] mask = map.Mask(cam.Rule);
                string path = Path.Combine(target, image.Name);
                using OutputFolder folder = new(path);
                folder.Add("map.png", ImageWriter.EncodePng(map.Map, map.Width, map.Height, 1));
                folder.Add("mask.png", MaskFiles.Png(mask, pixels.Width, pixels.Height));
                folder.Add("overlay.png", Overlaid(pixels, map, mask));
                folder.Commit();
                double share = (double)mask.Count(v => v != 0) / mask.Length;
                run.Reporter.Say(string.Create(CultureInfo.InvariantCulture, $"{path}: {100 * share:F1} % set"));
                if (map.IsEmpty)
                    run.Reporter.Note($"{image.Path}: no position speaks for tumour; map and mask are empty");
                return new ImageReport(image.Path, "done", null, pixels.Width, pixels.Height, path, 1)
                {
                    SetShare = Math.Round(share, 6),
                };
            });
    }

    static byte[] Overlaid(Raster pixels, ActivationMap map, byte[] mask)
    {
        byte[] rgb = [.. pixels.Pixels];
        HeatMap.Paint(rgb, pixels.Height, pixels.Width, map.Map, map.Height, map.Width);
        Overlay.Paint(rgb, mask, pixels.Height, pixels.Width, (255, 255, 255), alpha: 0);
        return ImageWriter.EncodePng(rgb, pixels.Width, pixels.Height, 3);
    }
}
